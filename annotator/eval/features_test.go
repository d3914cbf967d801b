package eval

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/engine"
	"ampulla/annotator/feature"
	"ampulla/annotator/packet"
	"ampulla/annotator/score"
)

// datagram returns an Ethernet frame with a UDP datagram between two hosts.
func datagram(src, dst byte, srcPort, dstPort uint16, payload string) []byte {
	frame := []byte{2, 0, 0, 0, 0, dst, 2, 0, 0, 0, 0, src, 0x08, 0x00,
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, src, 192, 0, 2, dst, 0, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(frame[16:], uint16(28+len(payload)))
	binary.BigEndian.PutUint16(frame[34:], srcPort)
	binary.BigEndian.PutUint16(frame[36:], dstPort)
	binary.BigEndian.PutUint16(frame[38:], uint16(8+len(payload)))
	return append(frame, payload...)
}

// conversation returns 40 frames, a tenth of a second apart, of one client with
// several servers.
func conversation() []packet.Frame {
	var frames []packet.Frame
	for i := range 40 {
		server := byte(2 + i%5)
		data := datagram(1, server, 40000, 5353, strings.Repeat("q", i+1))
		if i%3 == 2 {
			data = datagram(server, 1, 5353, 40000, strings.Repeat("a", i+1))
		}
		frames = append(frames, packet.Frame{Time: int64(i) * 1e8, LinkType: 1, Length: uint32(len(data)), Data: data})
	}
	return frames
}

// writePcap writes frames as a classic pcap file.
func writePcap(t *testing.T, path string, frames []packet.Frame) {
	t.Helper()
	order := binary.LittleEndian
	file := order.AppendUint32(nil, 0xa1b23c4d) // nanoseconds
	file = append(file, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0)
	for _, f := range frames {
		file = order.AppendUint32(file, uint32(f.Time/1e9))
		file = order.AppendUint32(file, uint32(f.Time%1e9))
		file = order.AppendUint32(file, uint32(len(f.Data)))
		file = append(order.AppendUint32(file, f.Length), f.Data...)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, file, 0o666); err != nil {
		t.Fatal(err)
	}
}

// recorder is a Scorer that keeps the rows it gets.
type recorder struct{ class, anomaly []float32 }

func (r *recorder) Classify(rows []float32, out []score.Class) error {
	r.class = append(r.class, rows...)
	clear(out)
	return nil
}

func (r *recorder) Anomaly(rows, out []float32) error {
	r.anomaly = append(r.anomaly, rows...)
	clear(out)
	return nil
}

func (r *recorder) Manifest() *score.Manifest {
	return &score.Manifest{Classifier: score.Classifier{Settled: 1}} // asks to the end
}

// TestFeaturesAreTheEngines wants the rows written for training to be those
// that the engine gives to the models; it asks the anomaly model about some only.
func TestFeaturesAreTheEngines(t *testing.T) {
	dir := t.TempDir()
	captures, out := filepath.Join(dir, "captures"), filepath.Join(dir, "out")
	frames := conversation()
	writePcap(t, filepath.Join(captures, "b", "x.pcap"), frames)
	writePcap(t, filepath.Join(captures, "a.pcap"), frames[:7])
	cfg := FeatureConfig{Engine: engine.Default(), Workers: 3, Every: 1, Warn: func(name string, err error) { t.Error(name, err) }}
	if err := WriteFeatures(t.Context(), captures, "", out, cfg); err != nil {
		t.Fatal(err)
	}

	want := new(recorder)
	for _, part := range [][]packet.Frame{frames[:7], frames} {
		e, err := engine.New(cfg.Engine, want)
		if err != nil {
			t.Fatal(err)
		}
		for i := range part { // alone, lest it asks about some first
			if _, err := e.Process(part[i:i+1], nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		rows, index string
		width       int
		want        []float32
	}{
		{classRowsFile, classIndexFile, feature.ClassWidth, want.class},
		{anomalyRowsFile, anomalyIndexFile, feature.AnomalyWidth, want.anomaly},
	} {
		data := readFile(t, filepath.Join(out, tt.rows))
		got := make([]float32, len(data)/4)
		if _, err := binary.Decode(data, binary.LittleEndian, got); err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			t.Errorf("%s is empty", tt.rows)
		}
		if tt.rows == anomalyRowsFile {
			tt.want = supplemented(tt.want, got, tt.width)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: engine -, file +:\n%s", tt.rows, diff)
		}
		index := readFile(t, filepath.Join(out, tt.index))
		if lines := bytes.Count(index, []byte("\n")) - 1; lines != len(got)/tt.width {
			t.Errorf("%s has %d lines for %d rows", tt.index, lines, len(got)/tt.width)
		}
	}
	index := strings.Split(string(readFile(t, filepath.Join(out, classIndexFile))), "\n")
	if got, want := index[1], "a.pcap\t1\t1\t1\t1\t17\t192.0.2.1\t40000\t192.0.2.2\t5353\t\t0\t::\t0\t::\t0"; got != want {
		t.Errorf("first line %q, want %q", got, want)
	}
}

// supplemented puts in what rows leaves out of all, as far as they agree.
func supplemented(rows, all []float32, width int) (out []float32) {
	for ; len(all) > 0; all = all[width:] {
		if len(rows) > 0 && slices.Equal(rows[:width], all[:width]) {
			rows = rows[width:]
		}
		out = append(out, all[:width]...)
	}
	return append(out, rows...)
}

func TestFeaturesReportBrokenCaptures(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.pcap"), []byte("no capture"), 0o666); err != nil {
		t.Fatal(err)
	}
	var warned []string
	cfg := FeatureConfig{Engine: engine.Default(), Workers: 1, Warn: func(name string, _ error) { warned = append(warned, name) }}
	if err := WriteFeatures(t.Context(), dir, "", filepath.Join(dir, "out"), cfg); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"x.pcap"}, warned); diff != "" {
		t.Error(diff)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
