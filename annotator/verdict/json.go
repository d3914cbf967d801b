package verdict

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// AppendJSON appends v as one JSON object without a line end: frame, time (RFC
// 3339 with nanoseconds, UTC), class, confidence, score, verdict, type, reason,
// flow, incident, incident_first, always all of them and in this order; and
// behind them rule where it is not 0 and hindsight where it is true.
func (v *Verdict) AppendJSON(b []byte) []byte {
	b = append(b, `{"frame":`...)
	b = strconv.AppendUint(b, v.Frame, 10)
	b = append(b, `,"time":"`...)
	b = time.Unix(0, v.Time).UTC().AppendFormat(b, "2006-01-02T15:04:05.000000000Z")
	b = append(b, `","class":`...)
	b = appendString(b, v.Class)
	b = append(b, `,"confidence":`...)
	b = strconv.AppendFloat(b, v.Confidence, 'f', -1, 64)
	b = append(b, `,"score":`...)
	b = strconv.AppendFloat(b, v.Score, 'f', -1, 64)
	b = append(b, `,"verdict":`...)
	b = appendString(b, string(v.Level))
	b = append(b, `,"type":`...)
	b = appendString(b, string(v.Type))
	b = append(b, `,"reason":`...)
	b = appendString(b, v.Reason)
	b = append(b, `,"flow":`...)
	b = strconv.AppendUint(b, uint64(v.Flow), 10)
	b = append(b, `,"incident":`...)
	b = strconv.AppendUint(b, uint64(v.Incident), 10)
	b = append(b, `,"incident_first":`...)
	b = strconv.AppendUint(b, v.IncidentFirst, 10)
	if v.Rule != 0 {
		b = append(b, `,"rule":`...)
		b = strconv.AppendUint(b, uint64(v.Rule), 10)
	}
	if v.Hindsight {
		b = append(b, `,"hindsight":true`...)
	}
	return append(b, '}')
}

// appendString appends s as a JSON string; only unusual ones need the library.
func appendString(b []byte, s string) []byte {
	if !isPlain(s) || strings.IndexByte(s, '"') >= 0 || strings.IndexByte(s, '\\') >= 0 {
		quoted, _ := json.Marshal(s) // a string cannot fail
		return append(b, quoted...)
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
