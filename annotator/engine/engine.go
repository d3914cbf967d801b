// Package engine turns frames into verdicts. Start reading here.
//
// The engine is a pure function of the ordered frames: it has no clock (time is
// the packets'), does no I/O and uses no randomness. However the frames are cut
// into calls of [Engine.Process], and however many workers help, the verdicts
// are the same. Each call goes through four stages, in the order of this file:
//
//  1. decode (parallel): a frame becomes a packet.Packet, a pure function.
//  2. observe (in order): flow and host tables take the packet in, and what is
//     known at that moment is written down: an Observation and feature rows.
//  3. score (parallel, batched): the models turn rows into classes and scores;
//     a row's result depends on that row alone.
//  4. judge (in order): detectors see the observations, and everything known of
//     a packet becomes one Verdict, which names the incident it is part of.
//
// Stage 4 runs behind stage 2 by as much as one call holds. That is invisible
// because it looks at snapshots only, and because what it learns itself (the
// class of a flow, the state of detectors) never flows back to stage 2.
package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"ampulla/annotator/detect"
	"ampulla/annotator/feature"
	"ampulla/annotator/flow"
	"ampulla/annotator/incident"
	"ampulla/annotator/packet"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// chunk is how many frames go through the stages together; it bounds memory
// and has no influence on verdicts.
const chunk = 1024

// learningScore is what a packet gets of whose host too little is known: the
// score of the median benign packet, -0.8 log10(0.5) / 3, since nothing speaks
// for it being more ordinary than that.
const learningScore = 0.08

// combination is the reason where no single value stands out.
const combination = "a rare combination of rates, counts and sizes, each of which is ordinary by itself"

// Config configures an Engine. Start from [Default].
type Config struct {
	Flow     flow.Config
	Detect   detect.Config
	Incident incident.Config
	// Workers is how many goroutines decode and score during a call of
	// Process; at least 1. Verdicts do not depend on it.
	Workers int
	// Batch is how many rows go through a model at once; at least 1. Verdicts
	// do not depend on it.
	Batch int
	// Learning is how many packets a host must have sent before the model's
	// opinion of its packets counts. Until then, and unless a detector found
	// something, the verdict is verdict.Learning.
	Learning uint32
}

// Default returns the configuration that the published figures were measured
// with.
func Default() Config {
	return Config{
		Flow:     flow.Default(),
		Detect:   detect.Default(),
		Incident: incident.Default(),
		Workers:  1,
		Batch:    256,
		Learning: 10,
	}
}

// Engine holds the state of one capture. It is not safe for concurrent use.
type Engine struct {
	cfg       Config
	scorer    score.Scorer
	model     string // version, for the verdicts
	table     *flow.Table
	detectors []detect.Detector
	suspects  *detect.Suspects
	incidents *incident.Tracker
	normal    []feature.Quantiles
	decoders  []packet.Decoder // one a worker

	frames uint64 // given so far
	n      int    // frames in the present chunk

	packets      []packet.Packet
	observations []flow.Observation
	classRow     []int32 // row in classRows, -1 for none
	anomalyRow   []int32
	classRows    []float32
	anomalyRows  []float32
	classes      []score.Class
	anomalies    []float32
}

// New returns an Engine for one capture.
func New(cfg Config, scorer score.Scorer) (*Engine, error) {
	if cfg.Workers < 1 || cfg.Batch < 1 {
		return nil, errors.New("engine: workers and batch must be at least 1")
	}
	if err := cfg.Detect.Validate(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	manifest := scorer.Manifest()
	return &Engine{
		cfg:          cfg,
		scorer:       scorer,
		model:        manifest.Version,
		table:        flow.NewTable(cfg.Flow),
		detectors:    detect.All(cfg.Detect),
		suspects:     detect.NewSuspects(),
		incidents:    incident.New(cfg.Incident),
		normal:       manifest.Anomaly.Normal,
		decoders:     make([]packet.Decoder, cfg.Workers),
		packets:      make([]packet.Packet, chunk),
		observations: make([]flow.Observation, chunk),
		classRow:     make([]int32, chunk),
		anomalyRow:   make([]int32, chunk),
	}, nil
}

// Process judges the next frames of the capture and appends one verdict for
// each, in order, to out. It looks at the frames' data only during the call.
// An error means that the models could not be run; it names the first frame
// without a verdict, and the Engine cannot be used any further.
func (e *Engine) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	for len(frames) > 0 {
		n := min(len(frames), chunk)
		e.decode(frames[:n])
		e.observe()
		if err := e.score(); err != nil {
			return out, fmt.Errorf("engine: frame %d: %w", e.frames+1, err)
		}
		out = e.judge(out)
		frames = frames[n:]
	}
	return out, nil
}

// decode is the first stage.
func (e *Engine) decode(frames []packet.Frame) {
	e.n = len(frames)
	var workers errgroup.Group
	for w, part := range split(e.n, e.cfg.Workers) {
		decoder := &e.decoders[w]
		work := func() error {
			for i := part.from; i < part.to; i++ {
				decoder.Decode(frames[i], &e.packets[i])
			}
			return nil
		}
		if e.cfg.Workers == 1 {
			_ = work()
			continue
		}
		workers.Go(work)
	}
	_ = workers.Wait() // decoding cannot fail
}

// observe is the second stage.
func (e *Engine) observe() {
	e.classRows, e.anomalyRows = e.classRows[:0], e.anomalyRows[:0]
	for i := range e.n {
		o := &e.observations[i]
		f, src, dst := e.table.Observe(&e.packets[i], o)
		e.classRow[i], e.anomalyRow[i] = -1, -1
		if f == nil {
			continue
		}
		if o.Noise == flow.Clean && feature.ClassDue(f) {
			e.classRow[i] = int32(len(e.classRows) / feature.ClassWidth)
			e.classRows = grow(e.classRows, feature.ClassWidth)
			feature.Class(f, e.classRows[len(e.classRows)-feature.ClassWidth:])
		}
		if o.HostPackets >= e.cfg.Learning {
			e.anomalyRow[i] = int32(len(e.anomalyRows) / feature.AnomalyWidth)
			e.anomalyRows = grow(e.anomalyRows, feature.AnomalyWidth)
			feature.Anomaly(o, f, src, dst, e.anomalyRows[len(e.anomalyRows)-feature.AnomalyWidth:])
		}
	}
}

// score is the third stage.
func (e *Engine) score() error {
	classRows := len(e.classRows) / feature.ClassWidth
	anomalyRows := len(e.anomalyRows) / feature.AnomalyWidth
	e.classes = grow(e.classes[:0], classRows)
	e.anomalies = grow(e.anomalies[:0], anomalyRows)

	var workers errgroup.Group
	workers.SetLimit(e.cfg.Workers)
	for part := range batches(classRows, e.cfg.Batch) {
		workers.Go(func() error {
			return e.scorer.Classify(e.classRows[part.from*feature.ClassWidth:part.to*feature.ClassWidth], e.classes[part.from:part.to])
		})
	}
	for part := range batches(anomalyRows, e.cfg.Batch) {
		workers.Go(func() error {
			return e.scorer.Anomaly(e.anomalyRows[part.from*feature.AnomalyWidth:part.to*feature.AnomalyWidth], e.anomalies[part.from:part.to])
		})
	}
	return workers.Wait()
}

// judge is the fourth stage.
func (e *Engine) judge(out []verdict.Verdict) []verdict.Verdict {
	for i := range e.n {
		e.frames++
		o := &e.observations[i]
		if row := e.classRow[i]; row >= 0 {
			o.Memo.Class, o.Memo.Confidence = e.classes[row].Name, e.classes[row].Confidence
		}
		v := verdict.Verdict{
			Frame:       e.frames,
			Time:        e.packets[i].Time,
			Flow:        o.Flow,
			CommunityID: o.CommunityID,
			Model:       e.model,
		}
		v.Class, v.Confidence = class(o)
		e.grade(&v, o, e.anomalyRow[i])
		out = append(out, v)
	}
	return out
}

// class names the protocol of a packet: what its headers say beyond doubt, or
// else what the classifier made of its flow so far.
func class(o *flow.Observation) (name string, confidence float64) {
	switch {
	case o.Packet.Name != "":
		return o.Packet.Name, 1
	case o.Memo == nil || o.Memo.Class == "":
		return verdict.UnknownClass, 0
	}
	return o.Memo.Class, math.Round(float64(o.Memo.Confidence)*100) / 100
}

// Incidents returns the incidents of the frames so far, see
// [incident.Tracker.All].
func (e *Engine) Incidents() []incident.Incident { return e.incidents.All() }

// grade fills in score, level, type, reason and incident. The score is the highest that
// anyone gives. A detector that found something names the type even where the
// model scores higher: it can say what it is.
func (e *Engine) grade(v *verdict.Verdict, o *flow.Observation, row int32) {
	best := detect.Finding{}
	for _, d := range e.detectors {
		if f := d.Observe(o); f.Score > best.Score {
			best = f
		}
	}
	best = e.suspects.Observe(o, best)
	model := learningScore
	if row >= 0 {
		model = float64(e.anomalies[row])
	}
	v.Score = round3(max(best.Score, model))
	v.Level = verdict.LevelOf(v.Score)
	switch {
	case v.Level == verdict.Normal:
		if row < 0 && o.Flow != 0 {
			v.Level = verdict.Learning
		}
	case verdict.LevelOf(best.Score) == v.Level || best.Score > verdict.AnomalousScore:
		v.Type, v.Reason = best.Type, best.Reason
		e.incidents.Observe(v, best.Role, o)
	default:
		v.Type = verdict.Outlier
		from := int(row) * feature.AnomalyWidth
		v.Reason = cmp.Or(feature.Explain(e.anomalyRows[from:from+feature.AnomalyWidth], e.normal), combination)
		e.incidents.Observe(v, detect.RoleHosts, o)
	}
}

func round3(x float64) float64 { return math.Round(x*1000) / 1000 }
