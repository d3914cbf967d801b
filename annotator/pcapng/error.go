package pcapng

import (
	"errors"
	"fmt"
)

// What a broken input is, for errors.Is. Any other error of a [Reader] is one
// of the underlying io.Reader.
var (
	// ErrTruncated means that the input ends within a block.
	ErrTruncated = errors.New("capture is truncated")
	// ErrMalformed means that a block contradicts itself or the format.
	ErrMalformed = errors.New("capture is malformed")
	// ErrFormat means that the input is no capture of a known format.
	ErrFormat = errors.New("not a pcap or pcapng capture")
)

// Error tells where reading stopped, and why. It matches ErrTruncated,
// ErrMalformed or ErrFormat with errors.Is, or else unwraps to the error of
// the underlying reader.
type Error struct {
	Block  uint64 // that could not be read, from 1, see [Block.Index]; 0 if Kind is ErrFormat
	Offset int64  // of its first byte, see [Block.Offset]
	Kind   error  // ErrTruncated, ErrMalformed, ErrFormat, or nil
	Err    error  // the cause; never nil
}

// Error returns for example "pcapng: block 17 at offset 4242: truncated after
// 30 of 96 bytes".
func (e *Error) Error() string {
	if e.Block == 0 {
		return fmt.Sprintf("pcapng: %v", e.Err)
	}
	return fmt.Sprintf("pcapng: block %d at offset %d: %v", e.Block, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is tells whether target is the kind of e.
func (e *Error) Is(target error) bool { return e.Kind != nil && target == e.Kind }

// IsBroken tells that reading a capture stopped within it, for whatever cause:
// what comes before is good.
func IsBroken(err error) bool {
	var broken *Error
	return errors.As(err, &broken) && broken.Block > 0
}

// malformed is a cause that becomes an Error of kind ErrMalformed.
type malformed string

func (m malformed) Error() string { return string(m) }

func malformedf(format string, args ...any) error {
	return malformed(fmt.Sprintf(format, args...))
}

// truncated is a cause that becomes an Error of kind ErrTruncated.
type truncated string

func (t truncated) Error() string { return string(t) }

func truncatedf(format string, args ...any) error {
	return truncated(fmt.Sprintf(format, args...))
}

// unknownFormat is a cause that becomes an Error of kind ErrFormat.
type unknownFormat string

func (u unknownFormat) Error() string { return string(u) }

func kindOf(err error) error {
	switch {
	case errors.As(err, new(malformed)):
		return ErrMalformed
	case errors.As(err, new(truncated)):
		return ErrTruncated
	case errors.As(err, new(unknownFormat)):
		return ErrFormat
	}
	return nil
}
