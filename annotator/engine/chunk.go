package engine

import (
	"fmt"
	"slices"

	"ampulla/annotator/feature"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// chunkLen is how many frames Process takes through the stages together: what
// they need of them fits into a processor's cache.
const chunkLen = 512

// awaited is how many packets ahead stage 2 has the processor fetch what it will
// look at.
const awaited = 4

// chunk is a number of frames on their way through the stages, with all that
// is known of them so far. Its memory is used again.
type chunk struct {
	packets      []packet.Packet
	contents     []flow.ContentHash // of the packets
	observations []flow.Observation

	opening  []int32 // of a packet: which of openings is to be classified, -1 for none
	openings []feature.Opening
	memos    []*flow.Memo  // of the openings' flows
	classes  []score.Class // of the openings; undefined if the flow was settled before

	look        []int32 // of a packet with an opinion: its number of feature.Looks
	anomalyRow  []int32 // of a packet: its row in anomalyRows, or one of the two below
	anomalyRows []float32
	opinions    []score.Opinion // on the rows

	err error // of the models
}

// Packets without a row of their own.
const (
	noOpinion   = -1 // too little is known
	sameOpinion = -2 // nothing new, see feature.Looks
)

// worker is what scoring needs beside a chunk.
type worker struct {
	vectors feature.Classes
	due     []int // openings that are asked about together,
	unknown []int // those that the memo does not know,
	rows    []float32
	classes []score.Class // and what becomes of them
	scores  []float32
}

// decode is the first stage.
func (c *chunk) decode(d *packet.Decoder, frames []packet.Frame) {
	c.packets, c.contents = grow(c.packets[:0], len(frames)), grow(c.contents[:0], len(frames))
	for i := range frames {
		d.Decode(frames[i], &c.packets[i])
		c.contents[i] = flow.HashContent(&c.packets[i])
	}
}

// observe is the second stage.
func (e *Engine) observe(c *chunk) {
	n := len(c.packets)
	c.observations = grow(c.observations[:0], n)
	c.opening, c.look, c.anomalyRow = grow(c.opening[:0], n), grow(c.look[:0], n), grow(c.anomalyRow[:0], n)
	c.openings, c.memos, c.anomalyRows = c.openings[:0], c.memos[:0], c.anomalyRows[:0]
	for i := range c.packets {
		o := &c.observations[i]
		e.table.Await(c.contents[min(i+awaited, n-1)])
		f, src, dst := e.table.ObserveHashed(&c.packets[i], c.contents[i], o)
		e.observed++
		c.opening[i], c.anomalyRow[i] = -1, noOpinion
		if f == nil {
			continue
		}
		if o.Noise == flow.Clean && feature.ClassDue(f) {
			c.opening[i] = int32(len(c.openings))
			c.openings = append(c.openings, feature.OpeningOf(f))
			c.memos = append(c.memos, o.Memo)
		}
		if o.HostPackets < e.cfg.Learning {
			continue
		}
		if e.observed == e.cfg.Explain {
			row := make([]float32, feature.AnomalyWidth)
			feature.Anomaly(o, f, src, dst, row)
			e.explanation.Values = feature.Values(row, e.normal)
		}
		look, due := e.looks.Due(o, f, src, dst)
		c.look[i] = int32(look)
		if !due {
			c.anomalyRow[i] = sameOpinion
			continue
		}
		c.anomalyRow[i] = int32(len(c.anomalyRows) / feature.AnomalyWidth)
		c.anomalyRows = grow(c.anomalyRows, feature.AnomalyWidth)
		feature.Anomaly(o, f, src, dst, c.anomalyRows[len(c.anomalyRows)-feature.AnomalyWidth:])
	}
}

// score is the third stage.
func (e *Engine) score(c *chunk, w *worker) {
	c.err = e.classify(c, w)
	if c.err == nil {
		c.err = e.opine(c, w)
	}
}

// opine asks the anomaly model about the rows.
func (e *Engine) opine(c *chunk, w *worker) error {
	n := len(c.anomalyRows) / feature.AnomalyWidth
	w.scores, c.opinions = grow(w.scores[:0], n), grow(c.opinions[:0], n)
	if err := inBatches(e.cfg.Batch, c.anomalyRows, feature.AnomalyWidth, w.scores, e.scorer.Anomaly); err != nil {
		return err
	}
	for i, s := range w.scores {
		c.opinions[i] = score.Opinion{Score: s}
		if float64(s) >= verdict.SuspiciousScore {
			row := c.anomalyRows[i*feature.AnomalyWidth : (i+1)*feature.AnomalyWidth]
			c.opinions[i].Standouts = feature.Standouts(row, e.normal)
		}
	}
	return nil
}

// classify has the openings classified, but not those of flows whose class is
// settled. Mostly it is by the first payload, so that is asked about first, and
// about the rest of the chunk when it is known what became of that.
func (e *Engine) classify(c *chunk, w *worker) error {
	c.classes = grow(c.classes[:0], len(c.openings))
	for _, first := range [...]bool{true, false} {
		w.due = w.due[:0]
		for i := range c.openings {
			if n := c.openings[i].Payloads(); n == 1 == first && !c.memos[i].SettledBefore(n) {
				w.due = append(w.due, i)
			}
		}
		if err := e.ask(c, w); err != nil {
			return err
		}
	}
	return nil
}

// ask has the due openings classified: by the memo, or by the model where it does
// not know them.
func (e *Engine) ask(c *chunk, w *worker) error {
	w.unknown, w.rows = w.unknown[:0], w.rows[:0]
	for _, i := range w.due {
		var known bool
		if c.classes[i], known = e.memo.get(&c.openings[i]); known {
			continue
		}
		w.unknown = append(w.unknown, i)
		w.rows = grow(w.rows, feature.ClassWidth)
		w.vectors.Vector(&c.openings[i], w.rows[len(w.rows)-feature.ClassWidth:])
	}
	w.classes = grow(w.classes[:0], len(w.unknown))
	if err := inBatches(e.cfg.Batch, w.rows, feature.ClassWidth, w.classes, e.scorer.Classify); err != nil {
		return err
	}
	for row, i := range w.unknown {
		c.classes[i] = w.classes[row]
		e.memo.add(&c.openings[i], c.classes[i])
	}
	for _, i := range w.due {
		if e.settles(&c.classes[i]) {
			c.memos[i].Settle(c.openings[i].Payloads())
		}
	}
	return nil
}

// settles tells that the class of a flow is final: to ask again would not change
// it.
func (e *Engine) settles(c *score.Class) bool {
	return c.Confidence >= e.settled && c.Name != verdict.UnknownClass
}

// inBatches runs a model over rows, at most batch of them at once.
func inBatches[T any](batch int, rows []float32, width int, out []T, run func([]float32, []T) error) error {
	for len(out) > 0 {
		n := min(len(out), batch)
		if err := run(rows[:n*width], out[:n]); err != nil {
			return err
		}
		rows, out = rows[n*width:], out[n:]
	}
	return nil
}

// failure is the error of the models, with the frame that comes behind the
// judged ones.
func (c *chunk) failure(judged uint64) error {
	if c.err == nil {
		return nil
	}
	return fmt.Errorf("engine: frame %d: %w", judged+1, c.err)
}

// judge is the fourth stage.
func (e *Engine) judge(c *chunk, out []verdict.Verdict) []verdict.Verdict {
	judged := len(out)
	out = grow(out, len(c.packets))
	for i := range c.packets {
		e.frames++
		o := &c.observations[i]
		if o.New && o.Packet.Proto == packet.ProtoTCP && o.Packet.TCPFlags&(packet.SYN|packet.ACK) == packet.SYN {
			o.Memo.Begun = true
		}
		if k := c.opening[i]; k >= 0 && !o.Memo.SettledBefore(c.openings[k].Payloads()) {
			o.Memo.Class, o.Memo.Confidence = c.classes[k].Name, c.classes[k].Confidence
		}
		v := &out[judged+i]
		*v = verdict.Verdict{}
		v.Frame, v.Time, v.Model = e.frames, c.packets[i].Time, e.model
		v.Flow, v.CommunityID = o.Flow, o.CommunityID
		v.Class, v.Confidence = class(o)
		e.grade(v, o, e.opinion(c, i))
		e.hindsight(v, o)
	}
	return out
}

// opinion returns what the anomaly model says of a packet, now or lately; nil
// if too little is known.
func (e *Engine) opinion(c *chunk, i int) *score.Opinion {
	row := c.anomalyRow[i]
	if row == noOpinion {
		return nil
	}
	latest := &e.opinions[c.look[i]]
	if row >= 0 {
		*latest = c.opinions[row]
	}
	return latest
}

// grow lengthens s by n elements, whose content is undefined.
func grow[T any](s []T, n int) []T {
	return slices.Grow(s, n)[:len(s)+n]
}
