package rewrite

import (
	"context"
	"errors"
	"fmt"
	"io"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/verdict"
)

// annotator is one run of [Annotate]: blocks are read into batches, the frames
// of each are judged, and all of it is written. All but the batches belongs to
// whoever writes.
type annotator struct {
	Config
	batches batches

	w       *writer // nil for verdicts only
	counts  Counts
	comment []byte
	edited  []byte

	nearby  nearby
	time    int64             // of the last frame
	dropped map[uint32]uint64 // by interface of the section, see Counts.Dropped
}

func (a *annotator) run(ctx context.Context) error {
	next := func() ([]packet.Frame, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return a.batches.read()
	}
	// What statistics tell is where the reader is, which must not be ahead.
	if stream, ok := a.Engine.(Streamer); ok && a.Statistics == nil {
		return stream.Stream(func(<-chan struct{}) ([]packet.Frame, error) { return next() }, a.emit)
	}
	return a.oneByOne(next)
}

// oneByOne judges and writes each batch before it reads the next one.
func (a *annotator) oneByOne(next func() ([]packet.Frame, error)) error {
	var verdicts []verdict.Verdict
	for {
		frames, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		verdicts = verdicts[:0]
		if len(frames) > 0 {
			if verdicts, err = a.Engine.Process(frames, verdicts); err != nil {
				return fmt.Errorf("frames %d to %d: %w", a.counts.Frames+1, a.counts.Frames+uint64(len(frames)), err)
			}
		}
		if err := a.emit(verdicts); err != nil {
			return err
		}
	}
}

// emit writes the batch that comes next, with the verdicts on its frames.
func (a *annotator) emit(verdicts []verdict.Verdict) error {
	b := a.batches.take()
	defer a.batches.release(b)
	if len(verdicts) != len(b.frames) {
		return fmt.Errorf("frames %d to %d: engine gave %d verdicts", a.counts.Frames+1, a.counts.Frames+uint64(len(b.frames)), len(verdicts))
	}
	if a.Adjust != nil {
		a.Threshold = a.Adjust()
	}
	for i := range b.n {
		block := &b.blocks[i]
		a.countDropped(block)
		var v *verdict.Verdict
		if block.IsFrame() {
			v, verdicts = &verdicts[0], verdicts[1:]
			if err := a.count(v); err != nil {
				return err
			}
		}
		if a.OnBlock != nil {
			if err := a.OnBlock(block, v); err != nil {
				return err
			}
		}
		if a.w != nil {
			if err := a.write(block, v); err != nil {
				return err
			}
		}
	}
	if a.w == nil {
		return nil
	}
	if err := a.writeStatistics(b.last); err != nil {
		return err
	}
	return writing(a.w.settle(b.paused || b.last))
}

// writing says what an error of the output was about.
func writing(err error) error {
	if err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

func (a *annotator) count(v *verdict.Verdict) error {
	a.counts.Frames++
	a.time = v.Time
	switch {
	case v.Level == "":
		a.counts.Unjudged++
	case a.flagged(v):
		a.counts.Flagged++
	}
	if a.OnVerdict == nil {
		return nil
	}
	return a.OnVerdict(v)
}

// maxDropped bounds the interfaces of a section whose losses are counted.
const maxDropped = 4096

// countDropped counts what a statistics block says was lost. Those of an
// interface count from the beginning of the section.
func (a *annotator) countDropped(b *pcapng.Block) {
	if b.Type == pcapng.TypeSection {
		clear(a.dropped)
	}
	netif, n, ok := b.Dropped()
	if !ok || n <= a.dropped[netif] || netif >= maxDropped {
		return
	}
	a.counts.Dropped += n - a.dropped[netif]
	a.dropped[netif] = n
}

func (a *annotator) flagged(v *verdict.Verdict) bool {
	return v.Level != "" && v.Score > a.Threshold
}

// comments tells whether the frame of v is to get a comment.
func (a *annotator) comments(v *verdict.Verdict) bool {
	switch a.Comments {
	case CommentAll:
		return v.Level != ""
	case CommentFlagged:
		return a.flagged(v)
	}
	return false
}

// write writes one block; v is nil unless it is a frame.
func (a *annotator) write(b *pcapng.Block, v *verdict.Verdict) error {
	a.comment = a.comment[:0]
	switch {
	case b.Type == pcapng.TypeSection:
		a.comment = append(a.comment, a.provenance(b)...)
	case v != nil && a.comments(v):
		a.comment = v.AppendComment(a.comment)
	}
	raw, err := a.edit(b, a.comment)
	if err != nil {
		return fmt.Errorf("block %d at offset %d: %w", b.Index, b.Offset, err)
	}
	if b.Type == pcapng.TypeSection {
		a.nearby.forget()
	}
	switch {
	case v != nil && a.OnlyFlagged:
		a.counts.Omitted++ // for now
		err = a.nearby.add(raw, a.flagged(v), func(raw []byte) error {
			a.counts.Omitted--
			return a.w.write(raw)
		})
	case &raw[0] == &b.Raw[0]:
		err = a.w.hold(raw)
	default:
		err = a.w.write(raw)
	}
	return writing(err)
}

// writeStatistics writes a statistics block if one is due.
func (a *annotator) writeStatistics(end bool) error {
	if a.Statistics == nil {
		return nil
	}
	comment := a.Statistics(a.counts, end)
	if comment == "" {
		return nil
	}
	block, ok := a.batches.reader.AppendStatistics(a.edited[:0], pcapng.Statistics{
		Time: a.time, Received: a.counts.Frames, Delivered: a.counts.Frames - a.counts.Omitted, Comment: comment})
	if !ok {
		return nil
	}
	a.edited = block
	return writing(a.w.write(block))
}

// provenance makes the comment of a section header. As the section is about to
// change its length, the header no longer states one; the comment remembers it.
func (a *annotator) provenance(b *pcapng.Block) string {
	p := a.Provenance
	p.SectionLength = nil
	length, ok := originalLength(b)
	if !ok {
		length = b.SectionLength()
	}
	if length >= 0 {
		p.SectionLength = &length
		b.SetSectionLength(-1)
	}
	return p.Comment()
}

// edit returns the bytes of b with comment, unless it is empty, in place of all
// comments of ours.
func (a *annotator) edit(b *pcapng.Block, comment []byte) ([]byte, error) {
	if len(comment) > 0 && !b.HasOptions() {
		a.counts.Uncommentable++
		return b.Raw, nil
	}
	if len(comment) == 0 && !hasOurs(b) {
		return b.Raw, nil
	}
	edited, removed, err := b.AppendEdited(a.edited[:0], isOurs, comment)
	if err == nil && len(comment) > 0 && len(edited) > a.MaxBlock && b.IsFrame() {
		comment = nil
		a.counts.Uncommentable++
		edited, removed, err = b.AppendEdited(edited[:0], isOurs, comment)
	}
	if err != nil {
		return nil, err
	}
	a.edited = edited
	a.counts.Removed += uint64(removed)
	if len(comment) > 0 && b.IsFrame() {
		a.counts.Commented++
	}
	return edited, nil
}
