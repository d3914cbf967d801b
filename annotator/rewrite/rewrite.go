// Package rewrite puts verdicts into a capture as pcapng comments
// ([Annotate]), and takes them out again ([Strip]). Nothing else of the capture
// changes: blocks keep their order and their bytes, and comments of others
// stay.
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

// Comments says which frames get a comment.
type Comments string

// The choices. With CommentNone only the section headers get one.
const (
	CommentFlagged Comments = "flagged" // those with a score above the threshold
	CommentAll     Comments = "all"
	CommentNone    Comments = "none"
)

// Engine judges frames. Process appends one verdict per frame to out, in order.
// What it says must not depend on how the capture is divided into calls. A
// verdict without a Level is none: the frame could not be judged.
type Engine interface {
	Process(frames []packet.Frame, out []verdict.Verdict) ([]verdict.Verdict, error)
}

// Streamer is an Engine that can judge while others read and write, see
// [engine.Engine.Stream].
type Streamer interface {
	Engine
	// Stream judges the batches of frames that next returns, and hands the
	// verdicts on each to emit, in order; it may be some batches behind. It
	// ends at an error of either, and returns it unless it is io.EOF of next;
	// stop is closed if it ends before next did.
	Stream(next func(stop <-chan struct{}) ([]packet.Frame, error), emit func([]verdict.Verdict) error) error
}

// Defaults of [Config]. Twice as many frames take 5 MB more, and no less time.
const (
	DefaultMaxFrames = 1024
	DefaultMaxBytes  = 512 << 10
)

// bufferLen is the size of the write buffer, in bytes. A bufio.Writer of no less
// is written to as it is.
const bufferLen = 64 << 10

// Config says how [Annotate] works. Only Engine is required.
type Config struct {
	// Engine judges. If it is a Streamer, reading goes on while it works, in a
	// goroutine that ends before Annotate returns.
	Engine Engine

	// Comments is CommentFlagged if empty. A frame is flagged if its score is
	// above Threshold.
	Comments  Comments
	Threshold float64

	// Adjust, if set, is asked for the Threshold before each batch of frames,
	// so that people can move it while they look.
	Adjust func() float64
	// OnlyFlagged leaves out all frames but the flagged ones and as many as
	// Context right before and behind each of them.
	OnlyFlagged bool
	Context     int

	// Statistics, if set, is asked behind each batch, and at the end of the
	// input, for the comment of a statistics block, which is written there if
	// the section has an interface. None is written if the comment is empty.
	// With it, each batch is written before the next one is read.
	Statistics func(c Counts, end bool) string

	// Provenance becomes a comment of each section header. Its SectionLength
	// is filled in here.
	Provenance verdict.Provenance

	// OnVerdict, if set, is called for each frame in order, judged or not. The
	// verdict is valid during the call; an error ends the work.
	OnVerdict func(*verdict.Verdict) error
	// OnBlock, if set, is called for each block in order, with the verdict if
	// it is a frame, and nil otherwise. Both are valid during the call; an error
	// ends the work.
	OnBlock func(*pcapng.Block, *verdict.Verdict) error

	// MaxFrames is how many frames at most make a batch, which the engine judges
	// at once, among at most twice as many blocks; fewer when the input pauses.
	// If zero, DefaultMaxFrames is used.
	MaxFrames int
	// MaxBytes is how many bytes of blocks at most make a batch, apart from the
	// one that exceeds it. If zero, or more than that, DefaultMaxBytes is used. A
	// Streamer has several batches at a time.
	MaxBytes int
	// MaxBlock is the largest block to write with a comment, in bytes; a frame
	// that would exceed it goes without. If zero, it is
	// pcapng.DefaultMaxBlock, the most that Wireshark reads from a file. From a
	// pipe it is 262,144.
	MaxBlock int
}

// Counts is what was done.
type Counts struct {
	Frames    uint64 // as Wireshark counts them
	Unjudged  uint64 // frames for which the engine had no verdict
	Omitted   uint64 // frames left out, see Config.OnlyFlagged
	Flagged   uint64 // frames with a score above the threshold
	Commented uint64 // frames that got a comment
	// Uncommentable are frames that should have got a comment and could not,
	// mostly because Simple Packet Blocks have no room for any.
	Uncommentable uint64
	Removed       uint64 // earlier comments of ours that were taken out
	// Dropped are frames that never came: those that the capture's own
	// statistics blocks count as lost.
	Dropped uint64
}

// Annotate copies the capture r to w and adds a comment to each frame that cfg
// asks for; earlier comments of ours are replaced. What was read is in w when the
// input pauses or ends. Without w, that is nil, it only judges. The input may be
// of any kind that package pcapng reads, the output is pcapng.
//
// Where the input breaks, all that comes before is annotated and written, and
// the error is the [*pcapng.Error] of the Reader. When ctx ends, its error is
// returned and the output is incomplete; a Read that waits is not interrupted.
func Annotate(ctx context.Context, r io.Reader, w io.Writer, cfg Config) (Counts, error) {
	if cfg.Comments == "" {
		cfg.Comments = CommentFlagged
	}
	if cfg.MaxFrames <= 0 {
		cfg.MaxFrames = DefaultMaxFrames
	}
	if cfg.MaxBytes <= 0 || cfg.MaxBytes > DefaultMaxBytes {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.MaxBlock <= 0 {
		cfg.MaxBlock = pcapng.DefaultMaxBlock
	}
	a := annotator{
		Config: cfg, nearby: nearby{size: cfg.Context}, dropped: map[uint32]uint64{},
		batches: batches{reader: pcapng.NewReader(r), maxFrames: cfg.MaxFrames, maxBytes: cfg.MaxBytes},
	}
	if w != nil {
		a.w = newWriter(w)
	}
	err := a.run(ctx)
	return a.counts, err
}

// Strip copies the capture r to w without our comments. The original file comes
// out if it was a pcapng file, bit for bit. Broken input and ctx are treated as
// in [Annotate].
func Strip(ctx context.Context, r io.Reader, w io.Writer) (Counts, error) {
	var counts Counts
	reader := pcapng.NewReader(r)
	out := bufio.NewWriterSize(w, bufferLen)
	var edited []byte
	for {
		if err := ctx.Err(); err != nil {
			return counts, err
		}
		b, err := reader.Next()
		if err != nil {
			if err := out.Flush(); err != nil {
				return counts, fmt.Errorf("write capture: %w", err)
			}
			if errors.Is(err, io.EOF) {
				return counts, nil
			}
			return counts, err
		}
		if b.IsFrame() {
			counts.Frames++
		}
		raw := b.Raw
		if hasOurs(b) {
			var removed int
			if b.Type == pcapng.TypeSection {
				if length, ok := originalLength(b); ok {
					b.SetSectionLength(length)
				}
			}
			if edited, removed, err = b.AppendEdited(edited[:0], isOurs, nil); err != nil {
				return counts, fmt.Errorf("block %d: %w", b.Index, err)
			}
			counts.Removed += uint64(removed)
			raw = edited
		}
		if _, err := out.Write(raw); err != nil {
			return counts, fmt.Errorf("write capture: %w", err)
		}
	}
}

func isOurs(comment []byte) bool { return verdict.IsOurs(string(comment)) }

// hasOurs tells whether a packet or section header carries a comment of ours.
func hasOurs(b *pcapng.Block) bool {
	if b.Bare() || !b.IsFrame() && b.Type != pcapng.TypeSection {
		return false
	}
	for options := b.Options(); ; {
		o, ok := options.Next()
		if !ok {
			return false
		}
		if o.Code == pcapng.OptComment && isOurs(o.Value) {
			return true
		}
	}
}

// originalLength returns the Section Length that a section header had before it
// was annotated; ok is false if the one it has is the original.
func originalLength(b *pcapng.Block) (length int64, ok bool) {
	for options := b.Options(); ; {
		o, more := options.Next()
		if !more {
			return 0, false
		}
		if o.Code != pcapng.OptComment {
			continue
		}
		if length, ok := verdict.SectionLength(string(o.Value)); ok {
			return length, true
		}
	}
}
