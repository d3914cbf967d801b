package eval

import (
	"io"
	"os"
	"slices"

	"ampulla/annotator/pcapng"
)

// The plain baselines that the engine is compared with: how far a frame lies
// outside the fences of a box plot (Tukey: 1.5 interquartile ranges from the
// quartiles) of its capture.
const (
	boxGap  = iota // of the times between frames
	boxSize        // of the lengths of frames
	baselines
)

// readBaselines returns what the baselines say of every frame of a capture,
// from 0 for within the fences towards 1.
func readBaselines(path string) ([][baselines]float32, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var (
		reader = pcapng.NewReader(file)
		block  pcapng.Block
		values [baselines][]float64
		last   int64
	)
	for {
		err := reader.Read(&block)
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return boxes(values), err
		}
		if !block.IsFrame() {
			continue
		}
		f := block.Frame()
		gap := f.Time - last
		if len(values[boxGap]) == 0 {
			gap = 0
		}
		last = f.Time
		values[boxGap] = append(values[boxGap], float64(gap))
		values[boxSize] = append(values[boxSize], float64(f.Length))
	}
}

func boxes(values [baselines][]float64) [][baselines]float32 {
	out := make([][baselines]float32, len(values[0]))
	for b, list := range values {
		sorted := slices.Sorted(slices.Values(list))
		if len(sorted) == 0 {
			continue
		}
		q1, q3 := sorted[len(sorted)/4], sorted[len(sorted)*3/4]
		spread := max(q3-q1, 1) // a nanosecond, a byte
		for i, x := range list {
			beyond := max((x-q3)/spread, (q1-x)/spread) - 1.5
			out[i][b] = float32(max(beyond, 0) / (1 + max(beyond, 0)))
		}
	}
	return out
}
