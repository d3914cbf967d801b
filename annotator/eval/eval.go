package eval

import (
	"slices"

	"ampulla/annotator/verdict"
)

// Capture collects the figures of one capture, frame by frame. The zero value
// is ready for use.
type Capture struct {
	Attacks    map[string]*AttackFigures // by name of the attack
	Benign     uint64                    // frames vouched for as benign
	Alarms     uint64                    // of these, how many score above verdict.AnomalousScore
	AlarmTypes map[verdict.Type]uint64   // the alarms, by type
	FirstAlarm uint64                    // frame number of the first alarm; 0 if none
	Others     [Ignore + 1]Others        // frames that are neither, by their truth
	Frames     uint64
	Duration   int64 // nanoseconds, pauses of more than longPause left out

	last        int64                // time of the latest frame
	benign      histogram            // scores of benign frames
	benignPlain [baselines]histogram // what the baselines say of them
	plain       [][baselines]float32 // what they say of every frame; empty if not measured
}

// Others are frames that count neither as false alarms nor as misses.
type Others struct {
	Frames  uint64
	Flagged uint64 // of these, above verdict.AnomalousScore
}

// longPause is a time without frames, in nanoseconds, after which a capture is
// rather another one that was appended.
const longPause = 600e9

// AttackFigures are the figures of one attack within one capture.
type AttackFigures struct {
	Frames  uint64 // carrying the attack
	Flagged uint64 // of these, above verdict.AnomalousScore
	Right   uint64 // of these, with the type that was expected

	begun, found int64 // times of the first frame, and of the first flagged with the right type
	scores       histogram
	plain        [baselines]histogram
}

// Delay returns the nanoseconds from the attack's first frame to the first
// that was flagged with the right type. ok is false if none was.
func (f *AttackFigures) Delay() (delay int64, ok bool) {
	return max(f.found-f.begun, 0), f.Right > 0
}

// Add counts one frame.
func (c *Capture) Add(label Label, v *verdict.Verdict) {
	if gap := v.Time - c.last; c.Frames > 0 && gap > 0 && gap <= longPause {
		c.Duration += gap
	}
	c.last = v.Time
	c.Frames++
	flagged := v.Score > verdict.AnomalousScore
	switch label.Truth {
	case Attack:
		c.addAttack(label.Attack, v, flagged)
	case Benign:
		c.Benign++
		c.benign.add(v.Score)
		c.addPlain(&c.benignPlain)
		if flagged {
			c.addAlarm(v)
		}
	default:
		others := &c.Others[label.Truth]
		others.Frames++
		if flagged {
			others.Flagged++
		}
	}
}

func (c *Capture) addAttack(name string, v *verdict.Verdict, flagged bool) {
	if c.Attacks == nil {
		c.Attacks = map[string]*AttackFigures{}
	}
	f := c.Attacks[name]
	if f == nil {
		f = &AttackFigures{begun: v.Time}
		c.Attacks[name] = f
	}
	f.Frames++
	f.scores.add(v.Score)
	c.addPlain(&f.plain)
	if !flagged {
		return
	}
	f.Flagged++
	if want := ExpectedType(name); want == "" || want == v.Type {
		if f.Right == 0 {
			f.found = v.Time
		}
		f.Right++
	}
}

// addPlain counts what the baselines say of the latest frame.
func (c *Capture) addPlain(h *[baselines]histogram) {
	if c.Frames > uint64(len(c.plain)) {
		return
	}
	for i, score := range c.plain[c.Frames-1] {
		h[i].add(float64(score))
	}
}

func (c *Capture) addAlarm(v *verdict.Verdict) {
	c.Alarms++
	if c.AlarmTypes == nil {
		c.AlarmTypes = map[verdict.Type]uint64{}
		c.FirstAlarm = v.Frame
	}
	c.AlarmTypes[v.Type]++
}

// AUC is the area under the receiver operating characteristic of the score,
// attack frames against the capture's own benign ones. ok is false when the
// capture lacks one of the two.
func (c *Capture) AUC() (area float64, ok bool) {
	attack := c.attack()
	return auc(&attack, &c.benign), attack.n > 0 && c.benign.n > 0
}

// attack returns the scores of all attack frames.
func (c *Capture) attack() (all histogram) {
	for _, f := range c.Attacks {
		all.merge(&f.scores)
	}
	return all
}

// Names returns the names of the capture's attacks in order.
func (c *Capture) Names() []string {
	var names []string
	for name := range c.Attacks {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
