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
const chunkLen = 256

// chunk is a number of frames on their way through the stages, with all that
// is known of them so far. Its memory is used again.
type chunk struct {
	packets      []packet.Packet
	observations []flow.Observation

	classRow    []int32 // of a packet: its row in classRows, -1 for none
	anomalyRow  []int32
	classRows   []float32
	anomalyRows []float32
	classes     []score.Class // of a row
	anomalies   []float32
	err         error // of the models
}

// decode is the first stage.
func (c *chunk) decode(d *packet.Decoder, frames []packet.Frame) {
	c.packets = grow(c.packets[:0], len(frames))
	for i := range frames {
		d.Decode(frames[i], &c.packets[i])
	}
}

// observe is the second stage.
func (e *Engine) observe(c *chunk) {
	n := len(c.packets)
	c.observations = grow(c.observations[:0], n)
	c.classRow, c.anomalyRow = grow(c.classRow[:0], n), grow(c.anomalyRow[:0], n)
	c.classRows, c.anomalyRows = c.classRows[:0], c.anomalyRows[:0]
	for i := range c.packets {
		o := &c.observations[i]
		f, src, dst := e.table.Observe(&c.packets[i], o)
		c.classRow[i], c.anomalyRow[i] = -1, -1
		if f == nil {
			continue
		}
		if o.Noise == flow.Clean && feature.ClassDue(f) {
			c.classRow[i] = int32(len(c.classRows) / feature.ClassWidth)
			c.classRows = grow(c.classRows, feature.ClassWidth)
			feature.Class(f, c.classRows[len(c.classRows)-feature.ClassWidth:])
		}
		if o.HostPackets >= e.cfg.Learning {
			c.anomalyRow[i] = int32(len(c.anomalyRows) / feature.AnomalyWidth)
			c.anomalyRows = grow(c.anomalyRows, feature.AnomalyWidth)
			feature.Anomaly(o, f, src, dst, c.anomalyRows[len(c.anomalyRows)-feature.AnomalyWidth:])
		}
	}
}

// score is the third stage.
func (c *chunk) score(scorer score.Scorer, batch int) {
	c.classes = grow(c.classes[:0], len(c.classRows)/feature.ClassWidth)
	c.anomalies = grow(c.anomalies[:0], len(c.anomalyRows)/feature.AnomalyWidth)
	c.err = inBatches(batch, c.classRows, feature.ClassWidth, c.classes, scorer.Classify)
	if c.err == nil {
		c.err = inBatches(batch, c.anomalyRows, feature.AnomalyWidth, c.anomalies, scorer.Anomaly)
	}
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
	for i := range c.packets {
		e.frames++
		o := &c.observations[i]
		if row := c.classRow[i]; row >= 0 {
			o.Memo.Class, o.Memo.Confidence = c.classes[row].Name, c.classes[row].Confidence
		}
		out = append(out, verdict.Verdict{
			Frame:       e.frames,
			Time:        c.packets[i].Time,
			Flow:        o.Flow,
			CommunityID: o.CommunityID,
			Model:       e.model,
		})
		v := &out[len(out)-1]
		v.Class, v.Confidence = class(o)
		model := c.opinion(i)
		e.grade(v, o, model)
		if e.frames == e.cfg.Explain {
			e.explanation = feature.Values(model.row, e.normal)
		}
	}
	return out
}

// opinion is what the anomaly model says of a packet.
type opinion struct {
	score float64
	row   []float32 // that it was made of; nil if too little is known
}

func (c *chunk) opinion(i int) opinion {
	row := int(c.anomalyRow[i])
	if row < 0 {
		return opinion{score: learningScore}
	}
	return opinion{float64(c.anomalies[row]), c.anomalyRows[row*feature.AnomalyWidth : (row+1)*feature.AnomalyWidth]}
}

// grow lengthens s by n elements, whose content is undefined.
func grow[T any](s []T, n int) []T {
	return slices.Grow(s, n)[:len(s)+n]
}
