package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// Verdict is a verdict as a message holds it; texts point into that.
type Verdict struct {
	Frame             uint64
	Class             []byte
	ConfidencePercent uint32
	ScorePermille     uint32
	Level             annotatorv1.Level
	Type, Reason      []byte
	Flow              uint32
	CommunityID       []byte
	Flagged           bool
	Incident          uint32
	IncidentFirst     uint64
	Rule              uint32
	Hindsight         bool
}

// VerdictOf returns a verdict that generated code has read.
func VerdictOf(m *annotatorv1.Verdict) *Verdict {
	return &Verdict{
		Frame: m.GetFrame(), Class: []byte(m.GetClass()), ConfidencePercent: m.GetConfidencePercent(), ScorePermille: m.GetScorePermille(),
		Level: m.GetLevel(), Type: []byte(m.GetType()), Reason: []byte(m.GetReason()), Flow: m.GetFlow(), CommunityID: []byte(m.GetCommunityId()),
		Flagged: m.GetFlagged(), Incident: m.GetIncident(), IncidentFirst: m.GetIncidentFirst(), Rule: m.GetRule(), Hindsight: m.GetHindsight(),
	}
}

// Numbers of the fields of Verdict.
const (
	verdictFrame protowire.Number = iota + 1
	verdictClass
	verdictConfidence
	verdictScore
	verdictLevel
	verdictType
	verdictReason
	verdictFlow
	verdictCommunityID
	verdictFlagged
	verdictIncident
	verdictIncidentFirst
	verdictRule
	verdictHindsight
)

// AddVerdict adds a verdict to a batch of verdicts.
func (b *Batch) AddVerdict(v *annotatorv1.Verdict) {
	b.add(func(out []byte) []byte {
		out = appendNumber(out, verdictFrame, v.Frame)
		out = appendText(out, verdictClass, v.Class)
		out = appendNumber(out, verdictConfidence, uint64(v.ConfidencePercent))
		out = appendNumber(out, verdictScore, uint64(v.ScorePermille))
		out = appendNumber(out, verdictLevel, uint64(v.Level))
		out = appendText(out, verdictType, v.Type)
		out = appendText(out, verdictReason, v.Reason)
		out = appendNumber(out, verdictFlow, uint64(v.Flow))
		out = appendText(out, verdictCommunityID, v.CommunityId)
		if v.Flagged {
			out = appendNumber(out, verdictFlagged, 1)
		}
		out = appendNumber(out, verdictIncident, uint64(v.Incident))
		out = appendNumber(out, verdictIncidentFirst, v.IncidentFirst)
		out = appendNumber(out, verdictRule, uint64(v.Rule))
		if v.Hindsight {
			out = appendNumber(out, verdictHindsight, 1)
		}
		return out
	})
}

func appendText(out []byte, field protowire.Number, text string) []byte {
	if text == "" {
		return out
	}
	return protowire.AppendString(protowire.AppendTag(out, field, protowire.BytesType), text)
}

// Verdicts calls visit with each verdict of a SessionResponse; v is valid during
// the call. ok is false if that is not simply a batch of verdicts; nothing was
// visited then. Errors are those of visit, and of what is no message. Texts need
// not be valid UTF-8.
func Verdicts(message []byte, visit func(v *Verdict) error) (ok bool, err error) {
	batch, ok := batchOf(message)
	if !ok {
		return false, nil
	}
	var v Verdict
	return true, each(batch, func(item []byte) error {
		v = Verdict{}
		if err := eachField(item, v.set); err != nil {
			return err
		}
		return visit(&v)
	})
}

// set takes a field in.
func (v *Verdict) set(number protowire.Number, kind protowire.Type, field value) error {
	switch kind {
	case protowire.VarintType:
		v.setNumber(number, field.number)
	case protowire.BytesType:
		switch number {
		case verdictClass:
			v.Class = field.bytes
		case verdictType:
			v.Type = field.bytes
		case verdictReason:
			v.Reason = field.bytes
		case verdictCommunityID:
			v.CommunityID = field.bytes
		}
	}
	return nil
}

func (v *Verdict) setNumber(number protowire.Number, n uint64) {
	switch number {
	case verdictFrame:
		v.Frame = n
	case verdictConfidence:
		v.ConfidencePercent = uint32(n)
	case verdictScore:
		v.ScorePermille = uint32(n)
	case verdictLevel:
		v.Level = annotatorv1.Level(n)
	case verdictFlow:
		v.Flow = uint32(n)
	case verdictFlagged:
		v.Flagged = n != 0
	case verdictIncident:
		v.Incident = uint32(n)
	case verdictIncidentFirst:
		v.IncidentFirst = n
	case verdictRule:
		v.Rule = uint32(n)
	case verdictHindsight:
		v.Hindsight = n != 0
	}
}
