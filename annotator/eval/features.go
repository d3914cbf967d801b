package eval

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"ampulla/annotator/engine"
	"ampulla/annotator/feature"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
)

// FeatureConfig configures WriteFeatures.
type FeatureConfig struct {
	Engine  engine.Config // its tables and its Learning decide which rows there are
	Workers int           // captures read side by side, at least 1; files do not depend on it
	// Every keeps the anomaly rows of one frame in so many, chosen by frame
	// number; 1 keeps all, 0 none.
	Every uint64
	// Warn is told of captures that could not be read to their end. Their rows
	// up to there are written.
	Warn func(name string, err error)
}

// The files that WriteFeatures makes. The .f32 files hold rows of little-endian
// float32, one after the other, and the .tsv beside each one line a row, behind
// a header.
const (
	featuresFile     = "features.json" // version and names of the features
	classRowsFile    = "class.f32"     // what the classifier would see, row by row
	classIndexFile   = "class.tsv"
	anomalyRowsFile  = "anomaly.f32" // what the anomaly model would see
	anomalyIndexFile = "anomaly.tsv"
	tunnelsFile      = "tunnels.tsv" // outer endpoints whose inside was looked into
)

var headers = map[string]string{
	classIndexFile: "file\tflow\tfirst\tframe\tpayloads\tproto\tclient\tclient_port\tserver\tserver_port" +
		"\ttunnel\touter_proto\touter_src\touter_src_port\touter_dst\touter_dst_port\n",
	anomalyIndexFile: "file\tflow\tframe\ttime\thost_packets\ttruth\tattack\n",
	tunnelsFile:      "file\tframe\ttunnel\tproto\tsrc\tsrc_port\tdst\tdst_port\n",
}

// WriteFeatures runs every capture below captures through decoding, flows and
// features, exactly as the engine does, and writes the rows that the models
// would get to files in the folder out, for training. Labels are found as by
// [Run]; without a folder of labels, every frame's truth is unknown.
func WriteFeatures(ctx context.Context, captures, labels, out string, cfg FeatureConfig) error {
	var names []string
	err := filepath.WalkDir(captures, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isCapture(path) {
			return err
		}
		name, err := filepath.Rel(captures, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	w, err := newFeatureWriter(out)
	if err != nil {
		return err
	}
	err = inOrder(ctx, names, cfg.Workers, func(name string) (rows featureRows) {
		rows.name = name
		rows.err = rows.read(filepath.Join(captures, name), labelPath(labels, name), cfg)
		return rows
	}, func(rows featureRows) error {
		if rows.err != nil && cfg.Warn != nil {
			cfg.Warn(rows.name, rows.err)
		}
		return w.write(&rows)
	})
	return errors.Join(err, w.close())
}

func labelPath(labels, name string) string {
	if labels == "" {
		return ""
	}
	return filepath.Join(labels, name+".tsv")
}

// inOrder calls work for each name, workers at a time, and then done with each
// result in the order of the names.
func inOrder[T any](ctx context.Context, names []string, workers int, work func(string) T, done func(T) error) error {
	results := make(chan chan T, max(workers, 1)-1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(results)
		for _, name := range names {
			result := make(chan T, 1)
			select {
			case results <- result:
			case <-ctx.Done():
				return
			}
			go func() { result <- work(name) }()
		}
	}()
	for result := range results {
		if err := done(<-result); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// featureRows are the rows of one capture, as the files hold them.
type featureRows struct {
	name string
	err  error

	classRows, anomalyRows                []byte
	classIndex, anomalyIndex, tunnelLines []byte

	firstFrame map[uint32]uint64 // of each flow
	tunnelSeen map[string]bool   // lines of tunnels without the frame
	scratch    []float32
	classes    feature.Classes
}

// read fills r from one capture.
func (r *featureRows) read(path, labelPath string, cfg FeatureConfig) error {
	labels := &Labels{}
	if labelPath != "" {
		var err error
		if labels, err = openLabels(labelPath); err != nil {
			return fmt.Errorf("labels: %w", err)
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r.firstFrame, r.tunnelSeen = map[uint32]uint64{}, map[string]bool{}
	r.scratch = make([]float32, max(feature.ClassWidth, feature.AnomalyWidth))

	var (
		reader  = pcapng.NewReader(file)
		table   = flow.NewTable(cfg.Engine.Flow)
		decoder packet.Decoder
		block   pcapng.Block
		p       packet.Packet
		o       flow.Observation
		frame   uint64
	)
	for {
		switch err := reader.Read(&block); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case !block.IsFrame():
			continue
		}
		frame++
		decoder.Decode(block.Frame(), &p)
		f, src, dst := table.Observe(&p, &o)
		label := labels.Of(frame)
		if f == nil {
			continue
		}
		r.tunnel(frame, &p)
		if o.New {
			r.firstFrame[o.Flow] = frame
		}
		if o.Noise == flow.Clean && feature.ClassDue(f) {
			opening := feature.OpeningOf(f)
			r.classes.Vector(&opening, r.scratch[:feature.ClassWidth])
			r.class(frame, &o, f)
		}
		if o.HostPackets >= cfg.Engine.Learning && cfg.Every > 0 && frame%cfg.Every == 0 {
			feature.Anomaly(&o, f, src, dst, r.scratch[:feature.AnomalyWidth])
			r.anomaly(frame, &o, label)
		}
	}
}

// class adds a row of the classifier.
func (r *featureRows) class(frame uint64, o *flow.Observation, f *flow.Flow) {
	r.classRows = appendFloats(r.classRows, r.scratch[:feature.ClassWidth])
	p := o.Packet
	r.classIndex = fmt.Appendf(r.classIndex, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%s\t%d\t%s\t%d\t%s\t%d\t%s\t%d\n",
		r.name, o.Flow, r.firstFrame[o.Flow], frame, f.Payloads(), p.Proto,
		f.ClientAddr, f.ClientPort, f.ServerAddr, f.ServerPort,
		p.Tunnel, p.OuterProto, p.OuterSrc, p.OuterSrcPort, p.OuterDst, p.OuterDstPort)
}

// anomaly adds a row of the anomaly model.
func (r *featureRows) anomaly(frame uint64, o *flow.Observation, label Label) {
	r.anomalyRows = appendFloats(r.anomalyRows, r.scratch[:feature.AnomalyWidth])
	r.anomalyIndex = fmt.Appendf(r.anomalyIndex, "%s\t%d\t%d\t%d\t%d\t%s\t%s\n",
		r.name, o.Flow, frame, o.Packet.Time, o.HostPackets, truthNames[label.Truth], label.Attack)
}

// tunnel writes down the outer endpoints of a tunnel at its first packet.
func (r *featureRows) tunnel(frame uint64, p *packet.Packet) {
	if p.Tunnel == packet.TunnelNone || p.OuterProto == 0 {
		return
	}
	line := fmt.Sprintf("\t%s\t%d\t%s\t%d\t%s\t%d\n", p.Tunnel, p.OuterProto,
		p.OuterSrc, p.OuterSrcPort, p.OuterDst, p.OuterDstPort)
	if r.tunnelSeen[line] {
		return
	}
	r.tunnelSeen[line] = true
	r.tunnelLines = append(strconv.AppendUint(append(r.tunnelLines, r.name+"\t"...), frame, 10), line...)
}

var truthNames = func() [Ignore + 1]string {
	var names [Ignore + 1]string
	for name, truth := range truths {
		names[truth] = name
	}
	return names
}()

func appendFloats(dst []byte, row []float32) []byte {
	for _, x := range row {
		dst, _ = binary.Append(dst, binary.LittleEndian, x) // fails for other types only
	}
	return dst
}

// featureWriter holds the files open while captures are read.
type featureWriter struct {
	files map[string]*os.File
	out   map[string]*bufio.Writer
}

func newFeatureWriter(dir string) (*featureWriter, error) {
	w := &featureWriter{map[string]*os.File{}, map[string]*bufio.Writer{}}
	for _, name := range []string{featuresFile, classRowsFile, classIndexFile, anomalyRowsFile, anomalyIndexFile, tunnelsFile} {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.files[name], w.out[name] = file, bufio.NewWriter(file)
		w.out[name].WriteString(headers[name]) // errors are sticky and come with Flush
	}
	encoder := json.NewEncoder(w.out[featuresFile])
	return w, encoder.Encode(map[string]any{
		"version": feature.Version, "class": feature.ClassNames(), "anomaly": feature.AnomalyNames(),
	})
}

func (w *featureWriter) write(r *featureRows) error {
	for name, data := range map[string][]byte{
		classRowsFile: r.classRows, classIndexFile: r.classIndex,
		anomalyRowsFile: r.anomalyRows, anomalyIndexFile: r.anomalyIndex, tunnelsFile: r.tunnelLines,
	} {
		if _, err := w.out[name].Write(data); err != nil {
			return err
		}
	}
	return nil
}

func (w *featureWriter) close() error {
	var err error
	for name, file := range w.files {
		err = errors.Join(err, w.out[name].Flush(), file.Close())
	}
	return err
}
