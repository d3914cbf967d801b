package eval

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// Summary is what [Summarize] makes of the results, as eval --json writes it.
type Summary struct {
	Attacks  []AttackSummary  `json:"attacks"`  // by kind and origin
	Means    []MeanAUC        `json:"mean_auc"` // over attack captures, by origin
	Benign   []BenignSummary  `json:"benign"`   // by folder, and of all
	Others   []OtherSummary   `json:"others"`   // frames that are neither
	Captures []CaptureSummary `json:"captures"` // that hold an attack, or raised an alarm on benign frames
	// Hindsight is the summary of a second reading, nil if there was none.
	Hindsight *Summary `json:"hindsight,omitempty"`
}

// AttackSummary are the figures of one kind of attack.
type AttackSummary struct {
	Attack   string `json:"attack"`
	Origin   string `json:"origin"` // laboratory or public
	Captures int    `json:"captures"`
	Detected int    `json:"detected"`   // captures with a frame above 0.8
	Right    int    `json:"right_type"` // captures with one of the type expected
	Frames   uint64 `json:"frames"`
	// Recall is the share of frames above 0.8, RightRecall of those with the
	// type expected.
	Recall      float64 `json:"recall"`
	RightRecall float64 `json:"right_recall"`
	// RecallAt is the share of frames above the limit that the given share of
	// all benign frames exceeds.
	RecallAt map[string]float64 `json:"recall_at_false_positives"`
	// AUC is against all benign frames of all captures; the others are of the
	// plain baselines.
	AUC     float64 `json:"auc"`
	GapAUC  float64 `json:"box_plot_gaps_auc"`
	SizeAUC float64 `json:"box_plot_sizes_auc"`
	// Delay is the median of the seconds from the attack's first frame to the
	// first of the right type; -1 if none was found.
	Delay float64 `json:"delay_seconds"`

	delays              []int64
	flagged, rightly    uint64
	scores, gaps, sizes histogram
	curves              [1 + baselines]curve // of the verdicts and the baselines
}

// MeanAUC is a mean over the attack captures of one origin.
type MeanAUC struct {
	Against  string  `json:"against"` // own benign frames of the capture, or all
	Origin   string  `json:"origin"`
	Captures int     `json:"captures"`
	AUC      float64 `json:"auc"`
}

// BenignSummary are the figures of benign frames.
type BenignSummary struct {
	Folder   string  `json:"folder"` // "all" for the sum
	Captures int     `json:"captures"`
	Alarmed  int     `json:"alarmed"` // captures with an alarm
	Frames   uint64  `json:"frames"`
	Alarms   uint64  `json:"alarms"`
	Share    float64 `json:"share"`
	Hours    float64 `json:"hours"` // that the captures last together, long pauses left out
}

// OtherSummary are the figures of frames that count neither as false alarms nor
// as misses.
type OtherSummary struct {
	Label   string `json:"label"` // response, ignore or unknown
	Frames  uint64 `json:"frames"`
	Flagged uint64 `json:"flagged"` // above 0.8
}

// CaptureSummary are the figures of one capture.
type CaptureSummary struct {
	Name    string   `json:"name"`
	Attacks []string `json:"attacks,omitempty"`
	Frames  uint64   `json:"attack_frames"`
	Recall  float64  `json:"recall"`
	// Right tells that each attack was flagged with the type expected, or with
	// any if it has none of its own.
	Right bool `json:"right_type"`
	// AUC is against all benign frames; OwnAUC against the capture's own, -1
	// if it has none.
	AUC    float64 `json:"auc"`
	OwnAUC float64 `json:"own_auc"`
	Benign uint64  `json:"benign_frames"`
	Alarms uint64  `json:"alarms"`
	Error  string  `json:"error,omitempty"`
}

// falsePositives are the shares of benign frames at which recall is given.
var falsePositives = [...]struct {
	name  string
	share float64
}{{"1%", 0.01}, {"0.1%", 0.001}, {"0.01%", 0.0001}}

// Summarize sums the results up.
func Summarize(results []Result) *Summary {
	var benign histogram
	var plain [baselines]histogram
	for i := range results {
		benign.merge(&results[i].benign)
		for b := range plain {
			plain[b].merge(&results[i].benignPlain[b])
		}
	}
	s := &Summary{Attacks: attacksOf(results), Benign: benignOf(results), Others: othersOf(results)}
	for i := range s.Attacks {
		s.Attacks[i].finish(&benign, &plain)
	}
	s.compare(results, &benign)
	return s
}

// WriteJSON writes the summary as indented JSON.
func (s *Summary) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(s)
}

func attacksOf(results []Result) []AttackSummary {
	var rows []AttackSummary
	for i := range results {
		r := &results[i]
		for _, attack := range r.Names() {
			k := slices.IndexFunc(rows, func(a AttackSummary) bool { return a.Attack == attack && a.Origin == origin(r.Name) })
			if k < 0 {
				k = len(rows)
				rows = append(rows, AttackSummary{Attack: attack, Origin: origin(r.Name)})
			}
			rows[k].add(r.Attacks[attack])
		}
	}
	slices.SortFunc(rows, func(a, b AttackSummary) int {
		return cmp.Or(cmp.Compare(a.Attack, b.Attack), cmp.Compare(a.Origin, b.Origin))
	})
	return rows
}

func (a *AttackSummary) add(f *AttackFigures) {
	a.Captures++
	if f.Flagged > 0 {
		a.Detected++
	}
	if delay, ok := f.Delay(); ok {
		a.Right++
		a.delays = append(a.delays, delay)
	}
	a.Frames += f.Frames
	a.flagged += f.Flagged
	a.rightly += f.Right
	a.scores.merge(&f.scores)
	a.gaps.merge(&f.plain[boxGap])
	a.sizes.merge(&f.plain[boxSize])
}

func (a *AttackSummary) finish(benign *histogram, plain *[baselines]histogram) {
	a.Recall, a.RightRecall = share(a.flagged, a.Frames), share(a.rightly, a.Frames)
	a.RecallAt = map[string]float64{}
	for _, p := range falsePositives {
		a.RecallAt[p.name] = a.scores.above(benign.limit(p.share))
	}
	a.AUC = auc(&a.scores, benign)
	a.GapAUC, a.SizeAUC = auc(&a.gaps, &plain[boxGap]), auc(&a.sizes, &plain[boxSize])
	a.curves = [...]curve{roc(&a.scores, benign), roc(&a.gaps, &plain[boxGap]), roc(&a.sizes, &plain[boxSize])}
	a.Delay = -1
	if n := len(a.delays); n > 0 {
		slices.Sort(a.delays)
		a.Delay = float64(a.delays[(n-1)/2]) / 1e9
	}
}

// compare fills in what is said of single captures, and the means.
func (s *Summary) compare(results []Result, benign *histogram) {
	const every = "every"
	own, all := map[string][]float64{}, map[string][]float64{}
	for i := range results {
		r := &results[i]
		attack := r.attack()
		if attack.n == 0 && r.Alarms == 0 && r.Err == nil {
			continue
		}
		c := CaptureSummary{Name: r.Name, Attacks: r.Names(), Frames: attack.n, Recall: attack.above(800),
			AUC: auc(&attack, benign), OwnAUC: -1, Benign: r.Benign, Alarms: r.Alarms}
		c.Right = attack.n > 0
		for _, f := range r.Attacks {
			c.Right = c.Right && f.Right > 0
		}
		if r.Err != nil {
			c.Error = r.Err.Error()
		}
		from := origin(r.Name)
		if attack.n > 0 {
			all[from], all[every] = append(all[from], c.AUC), append(all[every], c.AUC)
		}
		if area, ok := r.AUC(); ok {
			c.OwnAUC = area
			own[from], own[every] = append(own[from], area), append(own[every], area)
		}
		s.Captures = append(s.Captures, c)
	}
	for _, from := range [...]string{"laboratory", "public", every} {
		if list := own[from]; len(list) > 0 {
			s.Means = append(s.Means, MeanAUC{"own benign frames", from, len(list), mean(list)})
		}
		if list := all[from]; len(list) > 0 {
			s.Means = append(s.Means, MeanAUC{"all benign frames", from, len(list), mean(list)})
		}
	}
}

func benignOf(results []Result) []BenignSummary {
	var rows []BenignSummary
	total := BenignSummary{Folder: "all"}
	for i := range results {
		c := &results[i]
		if c.Benign == 0 {
			continue
		}
		folder, _, _ := strings.Cut(c.Name, "/")
		k := slices.IndexFunc(rows, func(b BenignSummary) bool { return b.Folder == folder })
		if k < 0 {
			k = len(rows)
			rows = append(rows, BenignSummary{Folder: folder})
		}
		rows[k].add(c)
		total.add(c)
	}
	return append(rows, total)
}

func othersOf(results []Result) (rows []OtherSummary) {
	for _, label := range [...]string{"response", "ignore", "unknown"} {
		row := OtherSummary{Label: label}
		for i := range results {
			of := results[i].Others[truths[label]]
			row.Frames += of.Frames
			row.Flagged += of.Flagged
		}
		rows = append(rows, row)
	}
	return rows
}

func (b *BenignSummary) add(r *Result) {
	b.Captures++
	b.Frames += r.Benign
	b.Alarms += r.Alarms
	if r.Alarms > 0 {
		b.Alarmed++
	}
	b.Share = share(b.Alarms, b.Frames)
	b.Hours += float64(r.Duration) / 3600e9
}

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

func mean(list []float64) float64 {
	var sum float64
	for _, x := range list {
		sum += x
	}
	return sum / float64(len(list))
}
