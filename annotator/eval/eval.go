package eval

import (
	"slices"

	"ampulla/annotator/verdict"
)

// Capture collects the figures of one capture, frame by frame. The zero value
// is ready for use.
type Capture struct {
	Attacks        map[string]*AttackFigures // by name of the attack
	Benign         uint64                    // frames vouched for as benign
	Alarms         uint64                    // of these, how many score above verdict.AnomalousScore
	AlarmTypes     map[verdict.Type]uint64   // the alarms, by type
	FirstAlarm     uint64                    // frame number of the first alarm; 0 if none
	Responses      uint64                    // a victim's answers
	ResponseAlarms uint64
	Frames         uint64

	benign histogram // scores of benign frames
	attack histogram // scores of attack frames
}

// AttackFigures are the figures of one attack within one capture.
type AttackFigures struct {
	Frames  uint64 // carrying the attack
	Flagged uint64 // of these, above verdict.AnomalousScore
	Right   uint64 // of these, with the type that was expected
}

// Add counts one frame.
func (c *Capture) Add(label Label, v *verdict.Verdict) {
	c.Frames++
	flagged := v.Score > verdict.AnomalousScore
	switch label.Truth {
	case Attack:
		c.attack.add(v.Score)
		c.addAttack(label.Attack, v, flagged)
	case Response:
		c.Responses++
		if flagged {
			c.ResponseAlarms++
		}
	case Benign:
		c.Benign++
		c.benign.add(v.Score)
		if flagged {
			c.addAlarm(v)
		}
	}
}

func (c *Capture) addAttack(name string, v *verdict.Verdict, flagged bool) {
	if c.Attacks == nil {
		c.Attacks = map[string]*AttackFigures{}
	}
	f := c.Attacks[name]
	if f == nil {
		f = &AttackFigures{}
		c.Attacks[name] = f
	}
	f.Frames++
	if !flagged {
		return
	}
	f.Flagged++
	if want := ExpectedType(name); want == "" || want == v.Type {
		f.Right++
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
// attack frames against the capture's own benign ones: the chance that a random
// attack frame scores higher than a random benign one, ties counting half. ok is
// false when the capture lacks one of the two.
func (c *Capture) AUC() (auc float64, ok bool) {
	if c.attack.n == 0 || c.benign.n == 0 {
		return 0, false
	}
	var sum float64
	below := 0.0
	for i := range c.benign.bins {
		b, a := float64(c.benign.bins[i]), float64(c.attack.bins[i])
		sum += a * (below + b/2)
		below += b
	}
	return sum / (float64(c.attack.n) * float64(c.benign.n)), true
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

// histogram counts scores, which have three decimals.
type histogram struct {
	bins [1001]uint64
	n    uint64
}

func (h *histogram) add(score float64) {
	h.bins[min(max(int(score*1000+0.5), 0), 1000)]++
	h.n++
}
