package rewrite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"ampulla/annotator/packet"
	"ampulla/annotator/pcapng"
	"ampulla/annotator/verdict"
)

// retain is the largest block buffer that is kept for the next block, in bytes.
const retain = 64 << 10

// annotator is one run of [Annotate]: blocks are read into a queue until the
// queue is full or the input pauses, then its frames are judged and all of it
// is written.
type annotator struct {
	Config
	reader *pcapng.Reader
	w      *bufio.Writer // nil for verdicts only
	counts Counts

	queue    []pcapng.Block // the first queued are filled, the others spare
	queued   int
	bytes    int // of the filled ones
	frames   []packet.Frame
	verdicts []verdict.Verdict
	edited   []byte

	nearby nearby
	time   int64 // of the last frame
}

func (a *annotator) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		reading := a.read()
		full := len(a.frames) >= a.MaxFrames || a.queued >= a.MaxFrames*2 || a.bytes >= a.MaxBytes
		if reading == nil && !full && a.reader.Buffered() > 0 {
			continue
		}
		if err := a.flush(reading != nil); err != nil {
			return err
		}
		if errors.Is(reading, io.EOF) {
			return nil
		}
		if reading != nil {
			return reading
		}
	}
}

// read puts the next block into the queue.
func (a *annotator) read() error {
	if a.queued == len(a.queue) {
		a.queue = append(a.queue, pcapng.Block{})
	}
	b := &a.queue[a.queued]
	if err := a.reader.Read(b); err != nil {
		return err
	}
	a.queued++
	a.bytes += len(b.Raw)
	if b.IsFrame() {
		a.frames = append(a.frames, b.Frame())
	}
	return nil
}

// flush judges and writes what is in the queue. The end tells that nothing
// follows.
func (a *annotator) flush(end bool) error {
	if a.Adjust != nil {
		a.Threshold = a.Adjust()
	}
	if err := a.judge(); err != nil {
		return err
	}
	next := 0
	for i := range a.queued {
		b := &a.queue[i]
		var v *verdict.Verdict
		if b.IsFrame() {
			v = &a.verdicts[next]
			next++
			if err := a.count(v); err != nil {
				return err
			}
		}
		if a.w != nil {
			if err := a.write(b, v); err != nil {
				return err
			}
		}
		if cap(b.Raw) > retain {
			b.Raw = nil
		}
	}
	a.queued, a.bytes, a.frames = 0, 0, a.frames[:0]
	if a.w == nil {
		return nil
	}
	if err := a.writeStatistics(end); err != nil {
		return err
	}
	return writing(a.w.Flush())
}

// writing says what an error of the output was about.
func writing(err error) error {
	if err != nil {
		return fmt.Errorf("write capture: %w", err)
	}
	return nil
}

// judge gets a verdict for each frame in the queue.
func (a *annotator) judge() error {
	a.verdicts = a.verdicts[:0]
	if len(a.frames) == 0 {
		return nil
	}
	first, last := a.counts.Frames+1, a.counts.Frames+uint64(len(a.frames))
	verdicts, err := a.Engine.Process(a.frames, a.verdicts)
	if err != nil {
		return fmt.Errorf("frames %d to %d: %w", first, last, err)
	}
	if len(verdicts) != len(a.frames) {
		return fmt.Errorf("frames %d to %d: engine gave %d verdicts", first, last, len(verdicts))
	}
	a.verdicts = verdicts
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
	comment := ""
	switch {
	case b.Type == pcapng.TypeSection:
		comment = a.provenance(b)
	case v != nil && a.comments(v):
		comment = v.Comment()
	}
	raw, err := a.edit(b, comment)
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
			_, err := a.w.Write(raw)
			return err
		})
	default:
		_, err = a.w.Write(raw)
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
	block, ok := a.reader.AppendStatistics(a.edited[:0], pcapng.Statistics{
		Time: a.time, Received: a.counts.Frames, Delivered: a.counts.Frames - a.counts.Omitted, Comment: comment})
	if !ok {
		return nil
	}
	a.edited = block
	_, err := a.w.Write(block)
	return writing(err)
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
func (a *annotator) edit(b *pcapng.Block, comment string) ([]byte, error) {
	if comment != "" && !b.HasOptions() {
		a.counts.Uncommentable++
		return b.Raw, nil
	}
	if comment == "" && !hasOurs(b) {
		return b.Raw, nil
	}
	edited, removed, err := b.AppendEdited(a.edited[:0], isOurs, comment)
	if err == nil && comment != "" && len(edited) > a.MaxBlock && b.IsFrame() {
		comment = ""
		a.counts.Uncommentable++
		edited, removed, err = b.AppendEdited(edited[:0], isOurs, comment)
	}
	if err != nil {
		return nil, err
	}
	a.edited = edited
	a.counts.Removed += uint64(removed)
	if comment != "" && b.IsFrame() {
		a.counts.Commented++
	}
	return edited, nil
}
