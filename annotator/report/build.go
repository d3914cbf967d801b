package report

import "ampulla/annotator/web"

// AddWeb adds what happened on the web.
func (r *Report) AddWeb(w *web.Result) {
	r.Web, r.Slow, r.Abandonment, r.Advice = w, w.Slow, w.Abandonment, w.Advice
}

// Finish sums the report up, when everything else is in it.
func (r *Report) Finish() {
	if r.Slow == nil {
		r.Slow = []web.Resource{}
	}
	if r.Advice == nil {
		r.Advice = []web.Advice{}
	}
	if r.Abandonment.Frames == nil {
		r.Abandonment.Frames = []uint64{}
	}
	for _, risk := range r.risks() {
		if !risk.Detected { // nothing was found, so nothing shows it
			risk.Sources, risk.Frames, risk.Incidents = []string{}, []uint64{}, []uint32{}
		}
	}
	if r.Web == nil {
		r.Notes = append(r.Notes, "The part about the web is missing: it needs tshark, which is not installed.")
	}
	r.Findings = r.findings()
}
