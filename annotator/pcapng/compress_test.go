package pcapng

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstandard(t testing.TB, b []byte, options ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, options...)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(b, nil)
}

func TestCompressed(t *testing.T) {
	in := unhex(sectionLE, netifLE, packetLE, simpleLE, oldLE)
	classic := unhex(classicLE, recordLE, recordLE)
	tests := []struct {
		name     string
		in, want []byte
	}{
		{"gzip", gzipped(t, in), in},
		{"gzip members, one of them empty", join(gzipped(t, in[:50]), gzipped(t, nil), gzipped(t, in[50:])), in},
		{"gzip and zeros", join(gzipped(t, in), make([]byte, 500)), in},
		{"zstd", zstandard(t, in), in},
		{"zstd frames", join(zstandard(t, in[:50]), zstandard(t, in[50:])), in},
		{"pcap in gzip", gzipped(t, classic), raw(mustReadAll(t, classic))},
		{"pcap in zstd", zstandard(t, classic), raw(mustReadAll(t, classic))},
	}
	for _, tt := range tests {
		blocks, err := readAll(tt.in)
		if err != nil || !bytes.Equal(raw(blocks), tt.want) {
			t.Errorf("%s: %d bytes, error %v", tt.name, len(raw(blocks)), err)
		}
	}
}

func TestCompressedErrors(t *testing.T) {
	packets := bytes.Repeat(unhex(packetLE), 1000)
	in := join(unhex(sectionLE, netifLE), packets)
	zipped, zstded := gzipped(t, in), zstandard(t, in, zstd.WithEncoderCRC(true))
	flipped := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 0xff
		return b
	}
	tests := []struct {
		name string
		in   []byte
		want string // suffix
		kind error
	}{
		{"gzip header cut", zipped[:5], "block 1 at offset 0: gzip stream ends too early", ErrTruncated},
		{"gzip trailer cut", zipped[:len(zipped)-1], "block 1003 at offset 40048: gzip stream ends too early", ErrTruncated},
		{"gzip checksum wrong", flipped(zipped, len(zipped)-5), "block 1003 at offset 40048: gzip: invalid checksum", ErrMalformed},
		{"gzip method unknown", flipped(zipped, 2), "block 1 at offset 0: gzip: invalid header", ErrMalformed},
		{"gzip and garbage", join(zipped, []byte("garbage and more")), "block 1003 at offset 40048: gzip: invalid header", ErrMalformed},
		{"gzip of text", gzipped(t, []byte("hello")), "not a pcap or pcapng capture (begins with 68 65 6c 6c)", ErrFormat},
		{"gzip of nothing", gzipped(t, nil), "block 1 at offset 0: input is empty", ErrTruncated},
		{"zstd cut", zstded[:len(zstded)-1], "zstd stream ends too early", ErrTruncated},
		{"zstd checksum wrong", flipped(zstded, len(zstded)-1), "zstd: CRC check failed", ErrMalformed},
		{"zstd window too large", unhex("28b52ffd 00 a0 0100000000"), "block 1 at offset 0: zstd: window size exceeded", ErrMalformed},
	}
	for _, tt := range tests {
		blocks, err := readAll(tt.in)
		if err == nil || !strings.HasSuffix(err.Error(), tt.want) || !errors.Is(err, tt.kind) {
			t.Errorf("%s: error %v, want %s", tt.name, err, tt.want)
		}
		if !bytes.HasPrefix(in, raw(blocks)) {
			t.Errorf("%s: blocks differ from input", tt.name)
		}
	}
}

func TestCompressedSourceError(t *testing.T) {
	cause := errors.New("cable pulled")
	zipped := gzipped(t, unhex(sectionLE, netifLE))
	for _, n := range []int{0, 3, 20} {
		r := NewReader(io.MultiReader(bytes.NewReader(zipped[:n]), iotest.ErrReader(cause)))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, cause) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrTruncated) {
			t.Errorf("after %d bytes: error %v", n, err)
		}
	}
}
