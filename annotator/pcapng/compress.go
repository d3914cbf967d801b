package pcapng

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the memory a zstd frame may ask for, in bytes. It is what
// the zstd program accepts by default.
const maxWindow = 1 << 27

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// decompress returns a reader of what br holds, decompressed if its first
// bytes say that it is gzip or zstd.
func decompress(br *bufio.Reader) (*bufio.Reader, error) {
	head, err := br.Peek(len(zstdMagic))
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, compressError("gzip", err)
		}
		z.Multistream(false)
		return bufio.NewReaderSize(&gzipMembers{br, z}, br.Size()), nil
	case bytes.HasPrefix(head, zstdMagic):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, compressError("zstd", err)
		}
		return bufio.NewReaderSize(&zstdFrames{z}, br.Size()), nil
	}
	return br, nil
}

// gzipMembers reads concatenated gzip members (RFC 1952 section 2.2). Zeros
// behind the last one are padding.
type gzipMembers struct {
	br *bufio.Reader
	z  *gzip.Reader
}

func (g *gzipMembers) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if err == nil || n > 0 && err == io.EOF {
			return n, nil
		}
		if err != io.EOF {
			return n, compressError("gzip", err)
		}
		if err := g.skipPadding(); err != nil {
			return 0, err
		}
		if err := g.z.Reset(g.br); err != nil {
			return 0, compressError("gzip", err)
		}
		g.z.Multistream(false)
	}
}

// skipPadding goes to the next member; io.EOF means that there is none.
func (g *gzipMembers) skipPadding() error {
	for {
		c, err := g.br.ReadByte()
		if err != nil {
			return err
		}
		if c != 0 {
			return g.br.UnreadByte()
		}
	}
}

// zstdFrames reads concatenated zstd frames (RFC 8878 section 3.1).
type zstdFrames struct{ z *zstd.Decoder }

func (f *zstdFrames) Read(p []byte) (int, error) {
	n, err := f.z.Read(p)
	if err != nil && err != io.EOF {
		err = compressError("zstd", err)
	}
	return n, err
}

// compressError says what is wrong with compressed input. An error of the
// source passes through it; the Reader knows that it was one.
func compressError(name string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return truncatedf("%s stream ends too early", name)
	}
	return malformedf("%s: %s", name, strings.TrimPrefix(err.Error(), name+": "))
}
