package client

import (
	"fmt"
	"unicode/utf8"

	"ampulla/annotator/verdict"
	"ampulla/grpc/wire"
)

// verdicts holds the verdicts of a session in 32 bytes each: what repeats
// (classes, types, Community IDs, most reasons) is kept once.
type verdicts struct {
	keep  int    // see Options.Keep
	rows  []row  // the last ones, less than twice as many
	gone  uint64 // those before, which are forgotten
	texts []string
	index map[string]uint32 // of texts
	bytes int               // that texts and index take, about
	spans map[uint32]span   // of the incidents of rows
}

// span is the first and the last frame of an incident.
type span struct{ first, last uint64 }

// row is a verdict; its texts are indices.
type row struct {
	class, kind, reason, id uint32
	flow, incident, rule    uint32
	score                   uint16 // thousandths
	confidence              uint8  // hundredths
	level                   uint8
}

// maxBytes bounds the distinct texts, about a million as they usually are;
// beyond it reasons and Community IDs are left out. perText is what keeping one
// costs beside its bytes.
const (
	maxBytes = 192 << 20
	perText  = 64
)

func (l *verdicts) count() uint64 { return l.gone + uint64(len(l.rows)) }

// add stores the next verdict. It refuses one that breaks the contract.
func (l *verdicts) add(v *wire.Verdict) error {
	if want := l.count() + 1; v.Frame != want {
		return fmt.Errorf("verdict of frame %d instead of %d", v.Frame, want)
	}
	if v.ScorePermille > 1000 || v.ConfidencePercent > 100 || v.Level < 0 || int(v.Level) >= len(levels) {
		return fmt.Errorf("verdict of frame %d: score %d, confidence %d, level %d are out of range",
			v.Frame, v.ScorePermille, v.ConfidencePercent, v.Level)
	}
	if (v.Incident == 0) != (v.IncidentFirst == 0) || v.IncidentFirst > v.Frame {
		return fmt.Errorf("verdict of frame %d: incident %d cannot begin with frame %d", v.Frame, v.Incident, v.IncidentFirst)
	}
	if len(l.rows) >= 2*l.keep {
		l.forget()
	}
	texts := [...][]byte{v.Class, v.Type, v.Reason, v.CommunityID}
	var at [len(texts)]uint32
	for i, text := range texts {
		var ok bool
		if at[i], ok = l.index[string(text)]; !ok {
			if !utf8.Valid(text) {
				return fmt.Errorf("verdict of frame %d: %q is no UTF-8", v.Frame, text)
			}
			at[i] = l.text(string(text))
		}
	}
	l.rows = append(l.rows, row{
		class: at[0], kind: at[1], reason: at[2], id: at[3],
		flow: v.Flow, incident: v.Incident, rule: v.Rule,
		score: uint16(v.ScorePermille), confidence: uint8(v.ConfidencePercent), level: uint8(v.Level),
	})
	if n := v.Incident; n != 0 {
		if l.spans == nil {
			l.spans = map[uint32]span{}
		}
		l.spans[n] = span{v.IncidentFirst, v.Frame}
	}
	return nil
}

// forget drops the older half, and the texts and incidents that only it had.
func (l *verdicts) forget() {
	l.gone += uint64(l.keep)
	l.rows = l.rows[:copy(l.rows, l.rows[l.keep:])]
	old := l.texts
	l.texts, l.index, l.bytes = nil, nil, 0
	for i := range l.rows {
		for _, text := range []*uint32{&l.rows[i].class, &l.rows[i].kind, &l.rows[i].reason, &l.rows[i].id} {
			*text = l.text(old[*text])
		}
	}
	spans := l.spans
	l.spans = map[uint32]span{}
	for i := range l.rows {
		if n := l.rows[i].incident; n != 0 {
			l.spans[n] = spans[n]
		}
	}
}

// text returns the index of a text, 0 for the empty one.
func (l *verdicts) text(s string) uint32 {
	if l.index == nil {
		l.index, l.texts = map[string]uint32{"": 0}, []string{""}
	}
	i, ok := l.index[s]
	if !ok {
		if l.bytes += len(s) + perText; l.bytes > maxBytes {
			l.bytes -= len(s) + perText
			return 0
		}
		i = uint32(len(l.texts))
		l.texts = append(l.texts, s)
		l.index[s] = i
	}
	return i
}

// levels are the levels in the order of the contract.
var levels = [...]verdict.Level{verdict.Learning, verdict.Normal, verdict.Suspicious, verdict.Anomalous, verdict.Learning}

// get returns the verdict of frame n, from 1 to count; false if it is
// forgotten.
func (l *verdicts) get(n uint64, model string) (verdict.Verdict, bool) {
	if n <= l.gone {
		return verdict.Verdict{}, false
	}
	r := l.rows[n-1-l.gone]
	return verdict.Verdict{
		Frame: n, Class: l.texts[r.class], Confidence: hundredths(r.confidence), Score: thousandths(r.score),
		Level: levels[r.level], Type: verdict.Type(l.texts[r.kind]), Reason: l.texts[r.reason],
		Flow: r.flow, CommunityID: l.texts[r.id], Model: model, Incident: r.incident, IncidentFirst: l.spans[r.incident].first, Rule: r.rule,
	}, true
}

func hundredths(n uint8) float64   { return float64(n) / 100 }
func thousandths(n uint16) float64 { return float64(n) / 1000 }
