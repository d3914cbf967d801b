package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"ampulla/annotator/baseline"
	"ampulla/annotator/engine"
	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/score"
	"ampulla/annotator/verdict"
)

// HalvesConfig configures [MeasureHalves].
type HalvesConfig struct {
	Engine  engine.Config
	Workers int
	// Scorer returns the models by which to judge a capture; it must be safe for
	// concurrent use.
	Scorer func(name string) score.Scorer
	// Networks is how many networks the attacks are mixed into: those with the
	// most false alarms, then the largest.
	Networks int
	// Longest is how many frames of an attack capture are mixed in.
	Longest int
}

// Halves are what a baseline brings: the first half of each benign capture was
// learned, and the other half judged without and with what was learned.
type Halves struct {
	Networks []NetworkHalves `json:"networks"`
	Mixed    []MixedAttack   `json:"attacks"`
}

// Alarms are what a user gets, without and with a baseline.
type Alarms struct {
	Without int `json:"without"`
	With    int `json:"with"`
}

func (a *Alarms) add(b Alarms) { a.Without, a.With = a.Without+b.Without, a.With+b.With }

// NetworkHalves are the false alarms in the second half of one network's
// capture.
type NetworkHalves struct {
	Name      string `json:"capture"`
	Learned   int    `json:"learned"` // frames
	Judged    int    `json:"judged"`
	Frames    Alarms `json:"frames"` // above 0.8
	Incidents Alarms `json:"incidents"`
	Bytes     int    `json:"bytes"` // of the baseline, as it is saved
}

// MixedAttack are the attacks of one capture, mixed into the second halves of
// networks: as if the busiest client there had attacked the busiest server.
type MixedAttack struct {
	Name     string   `json:"capture"`
	Attacks  []string `json:"attacks"`
	Networks int      `json:"networks"`
	Found    Alarms   `json:"found"`  // in how many of them
	Frames   int      `json:"frames"` // of the attack
	Flagged  Alarms   `json:"flagged"`
}

// network is a capture cut in two.
type network struct {
	NetworkHalves
	path    string
	learned []packet.Frame
	judged  []packet.Frame
	normal  *baseline.Baseline
	places  *places
}

// MeasureHalves learns the first half of every capture without attacks below
// captures and judges the second one, then that with attacks mixed in.
func MeasureHalves(ctx context.Context, captures, labels string, cfg HalvesConfig) (*Halves, error) {
	benign, attacked, err := sortCaptures(captures, labels)
	if err != nil {
		return nil, err
	}
	networks := make([]*network, len(benign))
	if err := each(ctx, cfg.Workers, len(benign), func(i int) (err error) {
		networks[i], err = cfg.halve(filepath.Join(captures, benign[i]), benign[i])
		return err
	}); err != nil {
		return nil, err
	}
	networks = slices.DeleteFunc(networks, func(n *network) bool { return n == nil })
	out := &Halves{}
	for _, n := range networks {
		out.Networks = append(out.Networks, n.NetworkHalves)
	}
	into := chosen(networks, cfg.Networks)
	if len(into) == 0 {
		return out, nil
	}
	for _, n := range into {
		if err := n.reread(); err != nil {
			return nil, err
		}
	}
	out.Mixed = make([]MixedAttack, len(attacked))
	err = each(ctx, cfg.Workers, len(attacked), func(i int) (err error) {
		out.Mixed[i], err = cfg.mix(captures, labels, attacked[i], into)
		return err
	})
	return out, err
}

// each calls work with the numbers below n, workers at a time.
func each(ctx context.Context, workers, n int, work func(i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(workers, 1))
	for i := range n {
		group.Go(func() error { return cmp.Or(ctx.Err(), work(i)) })
	}
	return group.Wait()
}

// sortCaptures lists the captures of benign frames alone and those with attacks.
func sortCaptures(captures, labels string) (benign, attacked []string, err error) {
	err = filepath.WalkDir(captures, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isCapture(path) {
			return err
		}
		name, _ := filepath.Rel(captures, path)
		l, err := openLabels(filepath.Join(labels, name+".tsv"))
		switch {
		case err != nil:
			return fmt.Errorf("labels of %s: %w", name, err)
		case l.rest == Benign && len(l.ranges) == 0:
			benign = append(benign, name)
		case slices.ContainsFunc(l.ranges, func(r labelRange) bool { return r.label.Truth == Attack }):
			attacked = append(attacked, name)
		}
		return nil
	})
	return benign, attacked, err
}

// halve learns the first half of a capture and judges the second one; nil if
// there is no such thing.
func (cfg *HalvesConfig) halve(path, name string) (*network, error) {
	n := &network{NetworkHalves: NetworkHalves{Name: name}, path: path}
	if err := n.reread(); err != nil || len(n.learned) == 0 {
		return nil, err
	}
	models := cfg.Scorer(name)
	learning := cfg.Engine
	learning.Learner = baseline.NewLearner(engine.Identity(models.Manifest()))
	if _, err := judgeFrames(learning, models, n.learned, nil); err != nil {
		return nil, err
	}
	n.normal = learning.Learner.Baseline()
	n.places = placesOf(n.learned)
	var err error
	n.Frames, n.Incidents, err = n.judge(cfg, n.judged, func(int, *verdict.Verdict) bool { return true })
	n.learned, n.judged = nil, nil // there are hundreds
	return n, err
}

// reread reads the halves of the capture.
func (n *network) reread() error {
	frames, err := readFrames(n.path)
	if err != nil {
		return err
	}
	half := len(frames) / 2
	n.learned, n.judged = frames[:half], frames[half:]
	n.Learned, n.Judged = len(n.learned), len(n.judged)
	return nil
}

// judge judges frames without and with the baseline, and counts the alarms on
// those that matter.
func (n *network) judge(cfg *HalvesConfig, frames []packet.Frame, matters func(i int, v *verdict.Verdict) bool) (flagged, incidents Alarms, err error) {
	models, engineCfg := cfg.Scorer(n.Name), cfg.Engine
	for _, run := range []struct {
		normal             *baseline.Baseline
		flagged, incidents *int
	}{{nil, &flagged.Without, &incidents.Without}, {n.normal, &flagged.With, &incidents.With}} {
		engineCfg.Baseline = run.normal
		*run.incidents, err = judgeFrames(engineCfg, models, frames, func(i int, v *verdict.Verdict) {
			if v.Score > verdict.AnomalousScore && matters(i, v) {
				*run.flagged++
			}
		})
		if err != nil {
			return flagged, incidents, err
		}
	}
	return flagged, incidents, nil
}

// judgeFrames runs a fresh engine over frames and returns the number of
// incidents that are anomalous.
func judgeFrames(cfg engine.Config, models score.Scorer, frames []packet.Frame, see func(i int, v *verdict.Verdict)) (incidents int, err error) {
	e, err := engine.New(cfg, models)
	if err != nil {
		return 0, err
	}
	verdicts, err := e.Process(frames, nil)
	for i := range verdicts {
		if see != nil {
			see(i, &verdicts[i])
		}
	}
	for _, i := range e.Incidents() {
		if i.Level() == verdict.Anomalous {
			incidents++
		}
	}
	return incidents, err
}

// readFrames reads the frames of a capture, up to where it breaks off.
func readFrames(path string) ([]packet.Frame, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var (
		frames []packet.Frame
		reader = pcapng.NewReader(file)
		block  pcapng.Block
	)
	for {
		err := reader.Read(&block)
		switch {
		case errors.Is(err, io.EOF) || pcapng.IsBroken(err):
			return frames, nil
		case err != nil:
			return frames, err
		case block.IsFrame():
			f := block.Frame()
			f.Data = slices.Clone(f.Data[:min(len(f.Data), packet.SnapLen)])
			frames = append(frames, f)
		}
	}
}

// chosen returns so many networks: those with the most alarms, then the largest.
func chosen(networks []*network, n int) []*network {
	sorted := slices.SortedFunc(slices.Values(networks), func(a, b *network) int {
		return cmp.Or(cmp.Compare(b.Frames.Without, a.Frames.Without), cmp.Compare(b.Judged, a.Judged))
	})
	sorted = slices.DeleteFunc(sorted, func(n *network) bool { return n.places == nil })
	return sorted[:min(n, len(sorted))]
}

// mix judges an attack in each of the networks.
func (cfg *HalvesConfig) mix(captures, labels, name string, into []*network) (MixedAttack, error) {
	out := MixedAttack{Name: name, Networks: len(into)}
	frames, err := readFrames(filepath.Join(captures, name))
	if err != nil {
		return out, err
	}
	l, err := openLabels(filepath.Join(labels, name+".tsv"))
	if err != nil {
		return out, err
	}
	a := attackOf(frames, l, cfg.Longest)
	out.Attacks, out.Frames = a.kinds, a.frames*len(into)
	for _, n := range into {
		mixed, marks := a.into(n)
		flagged, _, err := n.judge(cfg, mixed, func(i int, v *verdict.Verdict) bool { return marks[i].Truth == Attack })
		if err != nil {
			return out, err
		}
		out.Flagged.add(flagged)
		out.Found.add(Alarms{min(flagged.Without, 1), min(flagged.With, 1)})
	}
	return out, nil
}
