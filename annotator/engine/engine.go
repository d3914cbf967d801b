// Package engine turns frames into verdicts. Start reading here.
//
// The engine is a pure function of the ordered frames: it has no clock (time is
// the packets'), does no I/O and uses no randomness. Frames go through four
// stages, in the order of chunk.go:
//
//  1. decode: a frame becomes a packet.Packet, a pure function.
//  2. observe (in order): flow and host tables take the packet in, and what is
//     known at that moment is written down: an Observation and feature rows.
//  3. score (batched): the models turn rows into classes and scores; a row's
//     result depends on that row alone.
//  4. judge (in order): detectors see the observations, and everything known of
//     a packet becomes one Verdict, which names the incident it is part of.
//
// Models are what takes longest, so they are asked as little as possible: the
// classifier at a few packets of a flow until it is sure, and not about beginnings
// that it has just seen, which stage 3 remembers; the anomaly model not about packets like
// those of the same hosts that it has just seen: stage 2 knows which, see
// feature.Looks, and stage 4 what the model said.
//
// [Engine.Process] takes frames through them one stage after the other;
// [Engine.Stream] has each stage work on frames of its own at the same time.
// Stages 2 and 4 have state, of their own each: what stage 4 learns (the class
// of a flow, the state of detectors) never flows back to stage 2, and of what
// stage 2 knows it sees snapshots only. That is why verdicts are the same
// however the frames are cut into calls, and however many goroutines help. (Stage
// 3 notes at which payload a flow's class was settled, of which stage 4 takes what
// comes later for nothing, and leaves out of that what it comes to know in time.)
package engine

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"ampulla/annotator/baseline"
	"ampulla/annotator/detect"
	"ampulla/annotator/feature"
	"ampulla/annotator/flow"
	"ampulla/annotator/incident"
	"ampulla/annotator/packet"
	"ampulla/annotator/rule"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// learningScore is what a packet gets of whose host too little is known: the
// score of the median benign packet, -0.8 log10(0.5) / 3, since nothing speaks
// for it being more ordinary than that.
const learningScore = 0.08

// Config configures an Engine. Start from [Default].
type Config struct {
	Flow     flow.Config
	Detect   detect.Config
	Incident incident.Config
	// Workers is how many goroutines score during a call of Stream; at least 1.
	// Verdicts do not depend on it.
	Workers int
	// Batch is how many rows go through a model at once; at least 1. Verdicts
	// do not depend on it.
	Batch int
	// Learning is how many packets a host must have sent before the model's
	// opinion of its packets counts. Until then, and unless a detector found
	// something, the verdict is verdict.Learning.
	Learning uint32
	// Rules are what people said of such verdicts; nil for nothing. See
	// [Engine.SetRules].
	Rules *rule.Set
	// Hindsight keeps what Engine.Again needs, at most 16 MB more.
	Hindsight bool
	// Baseline is what is normal on the network that the capture is of; nil if that
	// is not known. It must have been learned with the same models.
	Baseline *baseline.Baseline
	// Learner counts what is normal there, whatever Baseline says; nil for
	// nobody. Verdicts do not depend on it.
	Learner *baseline.Learner
	// Explain is the number of a frame to explain, see [Engine.Explanation]; 0
	// for none. Verdicts do not depend on it.
	Explain uint64
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
	detectors *detect.Set
	incidents *incident.Tracker
	past      *incident.Past  // nil in a first pass
	local     *baseline.Judge // nil without a baseline
	normal    []feature.Quantiles
	settled   float32 // see score.Classifier
	decoder   packet.Decoder
	rules     atomic.Pointer[rule.Set]

	memo        memo
	looks       feature.Looks                   // of stage 2,
	opinions    [feature.LooksLen]score.Opinion // of stage 4, on the looks
	words       words
	observed    uint64 // frames so far, as are
	frames      uint64 // judged
	alone       *alone // of Process; nil before the first call
	explanation Explanation
}

// Explanation says where the verdict on one frame comes from.
type Explanation struct {
	// Values are what the anomaly model saw, the most unusual first; none if too
	// little was known for it to look.
	Values []feature.Value
	// Scope is what a rule of feedback about the frame can name.
	Scope rule.Scope
}

// alone is what one goroutine needs for all stages.
type alone struct {
	chunk  chunk
	worker worker
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
	if b := cfg.Baseline; b != nil && b.Identity() != Identity(manifest) {
		return nil, fmt.Errorf("engine: the baseline was learned with models %s, these are %s: learn it again", b.Identity(), Identity(manifest))
	}
	e := &Engine{
		cfg:       cfg,
		scorer:    scorer,
		model:     manifest.Version,
		table:     flow.NewTable(cfg.Flow),
		incidents: incident.New(cfg.Incident),
		local:     baseline.NewJudge(cfg.Baseline),
		normal:    manifest.Anomaly.Normal,
		settled:   float32(manifest.Classifier.Settled),
		words:     newWords(manifest.Anomaly.Normal),
	}
	e.detectors = detect.New(cfg.Detect, e.review)
	e.rules.Store(cfg.Rules)
	return e, nil
}

// Identity returns what a baseline that is learned with such models rests on.
func Identity(m *score.Manifest) baseline.Identity {
	return baseline.Identity{Models: m.Version, Anomaly: m.Anomaly.SHA256, Features: m.Features}
}

// Process judges the next frames of the capture and appends one verdict for
// each, in order, to out. It looks at the frames' data only during the call.
// An error means that the models could not be run; it names the first frame
// without a verdict, and the Engine cannot be used any further.
func (e *Engine) Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error) {
	if e.alone == nil {
		e.alone = new(alone)
	}
	c := &e.alone.chunk
	for len(frames) > 0 {
		n := min(len(frames), chunkLen)
		c.decode(&e.decoder, frames[:n])
		e.observe(c)
		e.score(c, &e.alone.worker)
		if err := c.failure(e.frames); err != nil {
			return out, err
		}
		out = e.judge(c, out)
		frames = frames[n:]
	}
	return out, nil
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

// Again returns an Engine for a second pass over the same frames: it also marks
// those that were part of an incident before anybody could know, see
// [incident.Past]. It needs Config.Hindsight; e cannot be used any further.
func (e *Engine) Again() (*Engine, error) {
	cfg := e.cfg
	cfg.Hindsight, cfg.Learner = false, nil // has seen them
	cfg.Rules = e.rules.Load()
	again, err := New(cfg, e.scorer)
	if err == nil {
		again.past = e.incidents.Past()
	}
	return again, err
}

// Rules is how many rules of feedback are in force.
func (e *Engine) Rules() int { return e.rules.Load().Len() }

// Incidents returns the incidents of the frames so far, see
// [incident.Tracker.All].
func (e *Engine) Incidents() []verdict.Incident {
	if e.past != nil {
		return e.past.All()
	}
	return e.incidents.All()
}

// IncidentsForgotten is how many incidents are not kept any more.
func (e *Engine) IncidentsForgotten() uint64 { return e.incidents.Forgotten() }

// Explanation explains the frame Config.Explain, once it was judged.
func (e *Engine) Explanation() Explanation { return e.explanation }

// SetRules has the frames that follow judged by other rules; nil for none. It
// may be called at any time: during a call of Stream, that may also be frames
// that next has returned before.
func (e *Engine) SetRules(s *rule.Set) { e.rules.Store(s) }

// grade fills in score, level, type, reason and incident. The score is the
// highest that anyone gives. A detector that found something names the type even
// where the model scores higher: it can say what it is.
func (e *Engine) grade(v *verdict.Verdict, o *flow.Observation, model *score.Opinion) {
	best := e.detectors.Observe(o)
	e.cfg.Learner.Packet(o, v.Class, model)
	e.local.Rate(o, best)
	e.detectors.Suspect()
	score, usual := learningScore, ""
	if model != nil {
		score, usual = e.local.Opinion(o, model)
	}
	v.Score = rounded(max(best.Score, score))
	v.Level = verdict.LevelOf(v.Score)
	switch {
	case v.Level == verdict.Normal:
		*best = detect.Finding{} // says nothing
		if model == nil && o.Flow != 0 {
			v.Level = verdict.Learning
		} else if thin := e.local.Thin(o); thin != "" {
			v.Level, v.Reason = verdict.Learning, thin
		}
	case verdict.LevelOf(best.Score) == v.Level || best.Score > verdict.AnomalousScore:
		v.Type, v.Reason = best.Type, best.Reason
	default:
		v.Type, v.Reason = verdict.Outlier, e.words.of(model.Standouts)+usual
		*best = detect.Finding{}
	}
	if e.frames == e.cfg.Explain {
		e.explanation.Scope = rule.ScopeOf(v.Type, o)
	}
	e.rules.Load().Apply(v, o)
	if v.Type != "" {
		e.incidents.Observe(v, best, o)
	}
}

// review has a finding of a detector learned, and measured against what is normal.
func (e *Engine) review(o *flow.Observation, detector string, f *detect.Finding) {
	e.cfg.Learner.Finding(detector, f)
	e.local.Review(o, detector, f)
}

// hindsight has what is known of a capture's end speak, or take note.
func (e *Engine) hindsight(v *verdict.Verdict, o *flow.Observation) {
	switch {
	case e.past != nil:
		e.past.Raise(v, o)
		e.rules.Load().Apply(v, o)
		e.past.Count(v, o)
	case e.cfg.Hindsight:
		e.incidents.Watch(o)
	}
}

// rounded rounds a score to the three digits that are shown, but not up to what
// is suspicious: what is not has no reason.
func rounded(score float64) float64 {
	const digits = 1000
	x := math.Round(score*digits) / digits
	if x >= verdict.SuspiciousScore && score < verdict.SuspiciousScore {
		x -= 1. / digits
	}
	return x
}
