package pcapng

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"ampulla/annotator/packet"
)

// frame is what a block says of a frame.
type frame struct {
	Section, Interface uint32
	packet.Frame
	Captured uint32
}

func frames(blocks []Block) []frame {
	var list []frame
	for i := range blocks {
		if b := &blocks[i]; b.IsFrame() {
			list = append(list, frame{b.Section, b.Interface, b.Frame(), b.Captured})
		}
	}
	return list
}

func TestRead(t *testing.T) {
	data := []byte{1, 2, 3, 4, 5}
	first := frame{1, 0, packet.Frame{Time: stamp, LinkType: 1, Length: 60, Data: data}, 5}
	simple := frame{1, 0, packet.Frame{Time: stamp, LinkType: 1, Length: 5, Data: data}, 5}
	untimed := frame{1, 0, packet.Frame{LinkType: 1, Length: 5, Data: data}, 5}
	second := first
	second.Section = 2
	at := func(netif uint32, linkType uint16, time int64) frame {
		return frame{1, netif, packet.Frame{Time: time, LinkType: linkType, Length: 1, Data: []byte("x")}, 1}
	}
	none := func(time int64, length uint32, data string) frame {
		return frame{1, 0, packet.Frame{Time: time, LinkType: packet.LinkTypeNone, Length: length, Data: []byte(data)}, uint32(len(data))}
	}
	le := unhex(sectionLE, netifLE)
	journal := "__REALTIME_TIMESTAMP=1500000000000001\nMESSAGE=hello\n"
	tests := []struct {
		name string
		in   []byte
		want []frame
	}{
		{"nothing but a section", unhex(sectionLE), nil},
		{"little endian", unhex(sectionLE, netifLE, packetLE, simpleLE, oldLE), []frame{first, simple, first}},
		{"big endian", unhex(sectionBE, netifBE, packetBE, simpleBE, oldBE), []frame{first, simple, first}},
		{"simple packet first", unhex(sectionLE, netifLE, simpleLE), []frame{untimed}},
		{"sections of both byte orders", unhex(sectionLE, netifLE, packetLE, sectionBE, netifBE, packetBE), []frame{first, second}},
		{"time of a simple packet starts anew in a section", unhex(sectionLE, netifLE, packetLE, sectionLE, netifLE, simpleLE),
			[]frame{first, {2, 0, untimed.Frame, 5}}},
		{"section length that lies", join(little.section(3), unhex(netifLE, packetLE)), []frame{first}},
		{"interfaces differ", join(
			bigEnd.section(-1),
			bigEnd.netif(1, 0),
			bigEnd.netif(101, 0, bigEnd.option(optTsResol, "\x09")),
			bigEnd.netif(113, 0, bigEnd.option(optTsResol, "\x8a"), bigEnd.option(optTsOffset, "\xff\xff\xff\xff\xff\xff\xff\xfe"), end),
			bigEnd.packet(2, 5<<10|1<<9, "x"),
			bigEnd.packet(0, 7, "x"),
			bigEnd.packet(1, 7, "x"),
		), []frame{at(2, 113, 3_500_000_000), at(0, 1, 7000), at(1, 101, 7)}},
		{"first of two time resolutions counts", join(le,
			little.netif(1, 0, little.option(optTsResol, "\x00"), little.option(optTsResol, "\x09")),
			little.packet(1, 7, "x")), []frame{at(1, 1, 7_000_000_000)}},
		{"time resolution of wrong length is ignored", join(le,
			little.netif(1, 0, little.option(optTsResol, "\x00\x00")),
			little.packet(1, 7, "x")), []frame{at(1, 1, 7000)}},
		{"simple packet cut to the interface's limit", join(little.section(-1), little.netif(1, 3), little.simple(100, "abc")),
			[]frame{{1, 0, packet.Frame{LinkType: 1, Length: 100, Data: []byte("abc")}, 3}}},
		{"captured more than the original", join(le, little.block(TypeEnhancedPacket,
			unhex("00000000 00000000 07000000 04000000 01000000 61626364"))),
			[]frame{{1, 0, packet.Frame{Time: 7000, LinkType: 1, Length: 1, Data: []byte("abcd")}, 4}}},
		{"length without padding", join(le, unhex(
			"06000000 21000000 00000000 00000000 07000000 01000000 01000000 78000000 21000000")),
			[]frame{at(0, 1, 7000)}},
		{"blocks that are no frames", join(le,
			little.block(TypeNameResolution, make([]byte, 4)),
			little.block(TypeStatistics, make([]byte, 12)),
			little.block(TypeSecrets, make([]byte, 8)),
			little.block(0x208, make([]byte, 40)),
			little.block(0x80000001),
			unhex(packetLE)), []frame{first}},
		{"systemd journal", join(le, little.block(TypeJournal, []byte(journal))),
			[]frame{none(1500000000000001000, uint32(len(journal)), journal)}},
		{"systemd journal without time", join(unhex(sectionLE, netifLE, packetLE), little.block(TypeJournal, []byte("MESSAGE="+journal[38:]+"longer"))),
			[]frame{first, none(stamp, 28, "MESSAGE="+journal[38:]+"longer")}},
		{"systemd journal with time behind a zero", join(le, little.block(TypeJournal, []byte("A\x00"+journal))),
			[]frame{none(0, uint32(len(journal))+2, "A\x00"+journal)}},
		{"systemd journal before any interface", join(unhex(sectionLE), little.block(TypeJournal, []byte(journal))),
			[]frame{none(1500000000000001000, uint32(len(journal)), journal)}},
		{"custom blocks", join(unhex(sectionLE, netifLE, packetLE),
			little.block(TypeCustom, unhex("39300000 61626364")), little.block(TypeCustomNoCopy, unhex("39300000"))),
			[]frame{first, none(stamp, 4, "abcd"), none(stamp, 0, "")}},
		{"sysdig", join(le,
			little.block(TypeSysdigEvent, unhex("0100 0500000000000000 0700000000000000 22000000 0300"), []byte("abcd")),
			little.block(TypeSysdigEvent2, unhex("0100 0600000000000000 0700000000000000 22000000 0300 00000000"), []byte("abcd"))),
			[]frame{none(5, 34, "abcd"), none(6, 34, "abcd")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			blocks := mustReadAll(t, tt.in)
			if diff := cmp.Diff(tt.want, frames(blocks)); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
			if !bytes.Equal(raw(blocks), tt.in) {
				t.Error("blocks differ from input")
			}
			offset := int64(0)
			for i, b := range blocks {
				if b.Index != uint64(i+1) || b.Offset != offset {
					t.Errorf("block %d at %d, want %d at %d", b.Index, b.Offset, i+1, offset)
				}
				offset += int64(len(b.Raw))
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	head := unhex(sectionLE, netifLE) // 48 bytes, 2 blocks
	tests := []struct {
		name string
		in   []byte
		want string
		kind error
	}{
		{"empty", nil, "block 1 at offset 0: input is empty", ErrTruncated},
		{"start of a magic", unhex("0a0d"), "block 1 at offset 0: truncated after 2 of 4 bytes", ErrTruncated},
		{"start of another magic", unhex("a1b2c3"), "block 1 at offset 0: truncated after 3 of 4 bytes", ErrTruncated},
		{"text", []byte("hello"), "not a pcap or pcapng capture (begins with 68 65 6c 6c)", ErrFormat},
		{"one byte of text", []byte("h"), "not a pcap or pcapng capture (begins with 68)", ErrFormat},
		{"no byte order", unhex("0a0d0d0a 1c000000 4d3c2b1b"), "block 1 at offset 0: unknown byte order magic 4d3c2b1b", ErrMalformed},
		{"version 2.0", unhex("0a0d0d0a 1c000000 4d3c2b1a 02000000 ffffffffffffffff 1c000000"),
			"block 1 at offset 0: version 2.0 of the format is unknown", ErrMalformed},
		{"version 1.1", unhex("0a0d0d0a 1c000000 4d3c2b1a 01000100 ffffffffffffffff 1c000000"),
			"block 1 at offset 0: version 1.1 of the format is unknown", ErrMalformed},
		{"short section header", unhex("0a0d0d0a 18000000 4d3c2b1a 01000000 ffffffff 18000000"),
			"block 1 at offset 0: section header of 24 bytes is shorter than 28", ErrMalformed},
		{"block header cut", join(head, unhex("060000")), "block 3 at offset 48: truncated after 3 of at least 8 bytes", ErrTruncated},
		{"block cut", join(head, unhex(packetLE)[:30]), "block 3 at offset 48: truncated after 30 of 40 bytes", ErrTruncated},
		{"section cut in its magic", join(head, unhex("0a0d0d0a 1c000000 4d3c")), "block 3 at offset 48: truncated after 10 of at least 12 bytes", ErrTruncated},
		{"zero padding behind the last block", join(head, make([]byte, 16)), "block 3 at offset 48: block length 0 is less than 12", ErrMalformed},
		{"lengths differ", join(head, unhex("0b000000 10000000 00000000 14000000")), "block 3 at offset 48: block lengths 16 and 20 differ", ErrMalformed},
		{"block too large", join(head, unhex("0b000000 f0ffff7f")), "block 3 at offset 48: block length 2147483632 exceeds 134348800", ErrMalformed},
		{"length that overflows when rounded", join(head, unhex("0b000000 ffffffff")), "block 3 at offset 48: block length 4294967295 exceeds 134348800", ErrMalformed},
		{"huge length of a short file", join(head, unhex("0b000000 00000008")), "block 3 at offset 48: truncated after 8 of 134217728 bytes", ErrTruncated},
		{"interface missing", join(unhex(sectionLE, packetLE)), "block 2 at offset 28: interface 0 of 0", ErrMalformed},
		{"interface of another section", join(head, unhex(sectionLE, packetLE)), "block 4 at offset 76: interface 0 of 0", ErrMalformed},
		{"wrong interface", join(head, little.packet(1, 0, "x")), "block 3 at offset 48: interface 1 of 1", ErrMalformed},
		{"greatest interface", join(head, little.packet(1<<32-1, 0, "x")), "block 3 at offset 48: interface 4294967295 of 1", ErrMalformed},
		{"simple packet without interface", unhex(sectionLE, simpleLE), "block 2 at offset 28: simple packet before any interface description", ErrMalformed},
		{"captured length exceeds block", join(head, unhex(
			"06000000 28000000 00000000 00000000 00000000 09000000 3c000000 0102030405000000 28000000")),
			"block 3 at offset 48: captured length 9 exceeds block of 40 bytes", ErrMalformed},
		{"captured length overflows", join(head, unhex(
			"06000000 28000000 00000000 00000000 00000000 ffffffff 3c000000 0102030405000000 28000000")),
			"block 3 at offset 48: captured length 4294967295 exceeds block of 40 bytes", ErrMalformed},
		{"simple packet exceeds block", join(unhex(sectionLE), little.netif(1, 0), little.simple(9, "abcdefgh")),
			"block 3 at offset 48: captured length 9 exceeds block of 24 bytes", ErrMalformed},
		{"packet too short", join(head, little.block(TypeEnhancedPacket, make([]byte, 16))),
			"block 3 at offset 48: packet of 28 bytes is shorter than 32", ErrMalformed},
		{"old packet too short", join(head, little.block(TypePacket, make([]byte, 16))),
			"block 3 at offset 48: packet of 28 bytes is shorter than 32", ErrMalformed},
		{"simple packet too short", join(head, little.block(TypeSimplePacket)),
			"block 3 at offset 48: simple packet of 12 bytes is shorter than 16", ErrMalformed},
		{"interface description too short", join(head, little.block(TypeInterface, make([]byte, 4))),
			"block 3 at offset 48: interface description of 16 bytes is shorter than 20", ErrMalformed},
		{"custom block too short", join(head, little.block(TypeCustom)),
			"block 3 at offset 48: custom block of 12 bytes is shorter than 16", ErrMalformed},
		{"journal entry too short", join(head, little.block(TypeJournal, make([]byte, 20))),
			"block 3 at offset 48: journal entry of 32 bytes is shorter than 35", ErrMalformed},
		{"sysdig event too short", join(head, little.block(TypeSysdigEvent2, make([]byte, 24))),
			"block 3 at offset 48: sysdig event of 36 bytes is shorter than 40", ErrMalformed},
		{"option of a packet exceeds block", join(head, little.packet(0, 0, "x", unhex("0100 0900 61626364 65666768"))),
			"block 3 at offset 48: option length 9 exceeds block", ErrMalformed},
		{"padding of an option exceeds block", join(head, little.packet(0, 0, "x", unhex("0100 ffff"))),
			"block 3 at offset 48: option length 65535 exceeds block", ErrMalformed},
		{"opt_endofopt exceeds block", join(head, little.packet(0, 0, "x", unhex("0000 0100"))),
			"block 3 at offset 48: option length 1 exceeds block", ErrMalformed},
		{"option of an interface exceeds block", join(head, little.netif(1, 0, unhex("0900 0500 06000000"))),
			"block 3 at offset 48: option length 5 exceeds block", ErrMalformed},
		{"option of a section exceeds block", join(head, little.section(-1, unhex("0100 0100"))),
			"block 3 at offset 48: option length 1 exceeds block", ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			blocks, err := readAll(tt.in)
			if err == nil {
				t.Fatal("no error")
			}
			if want := "pcapng: " + tt.want; err.Error() != want {
				t.Errorf("error %q, want %q", err, want)
			}
			for _, kind := range []error{ErrTruncated, ErrMalformed, ErrFormat} {
				if got := errors.Is(err, kind); got != (kind == tt.kind) {
					t.Errorf("errors.Is(err, %q) = %v", kind, got)
				}
			}
			if got := raw(blocks); !bytes.HasPrefix(tt.in, got) || len(got) > len(tt.in) {
				t.Error("what was read before the error is not the beginning of the input")
			}
		})
	}
}

// TestCutAnywhere cuts a capture with every kind of block at each offset.
func TestCutAnywhere(t *testing.T) {
	in := join(unhex(sectionLE, netifLE, packetLE, simpleLE, oldLE),
		little.packet(0, 9, "abc", little.option(OptComment, "hi"), end),
		little.block(TypeCustom, make([]byte, 8)), little.block(TypeNameResolution, make([]byte, 4)),
		unhex(sectionBE, netifBE, packetBE))
	whole := mustReadAll(t, in)
	for n := range in {
		complete := 0
		for complete < len(whole) && whole[complete].Offset+int64(len(whole[complete].Raw)) <= int64(n) {
			complete++
		}
		got, err := readAll(in[:n])
		if len(got) != complete {
			t.Errorf("cut at %d: %d blocks, want %d", n, len(got), complete)
		}
		if atEnd := complete > 0 && whole[complete].Offset == int64(n); atEnd {
			if err != nil {
				t.Errorf("cut at %d, between blocks: %v", n, err)
			}
			continue
		}
		var broken *Error
		if !errors.As(err, &broken) || !errors.Is(err, ErrTruncated) ||
			broken.Block != uint64(complete+1) || broken.Offset != whole[complete].Offset {
			t.Errorf("cut at %d: error %v, want a truncated block %d at %d", n, err, complete+1, whole[complete].Offset)
		}
	}
}

func TestErrorIsSticky(t *testing.T) {
	r := NewReader(bytes.NewReader(join(unhex(sectionLE), make([]byte, 12), unhex(netifLE))))
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	_, first := r.Next()
	_, second := r.Next()
	if first == nil || second != first {
		t.Errorf("errors %v, then %v", first, second)
	}
}

func TestSourceError(t *testing.T) {
	cause := errors.New("cable pulled")
	in := io.MultiReader(bytes.NewReader(unhex(sectionLE, netifLE, packetLE[:20])), iotest.ErrReader(cause))
	r := NewReader(in)
	var err error
	for err == nil {
		_, err = r.Next()
	}
	if want := "pcapng: block 3 at offset 48: cable pulled"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if !errors.Is(err, cause) || errors.Is(err, ErrTruncated) || errors.Is(err, ErrMalformed) {
		t.Errorf("error %v is of the wrong kind", err)
	}
}

func TestSmallReads(t *testing.T) {
	in := unhex(sectionLE, netifLE, packetLE, simpleLE, oldLE)
	r := NewReader(iotest.OneByteReader(bytes.NewReader(in)))
	var got []byte
	for {
		b, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b.Raw...)
	}
	if !bytes.Equal(got, in) {
		t.Error("blocks differ from input")
	}
}

func TestMaxBlock(t *testing.T) {
	r := NewReader(bytes.NewReader(unhex(sectionLE, netifLE, packetLE)))
	r.MaxBlock = 39
	var err error
	for err == nil {
		_, err = r.Next()
	}
	if want := "pcapng: block 3 at offset 48: block length 40 exceeds 39"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestTooManyInterfaces(t *testing.T) {
	in := io.MultiReader(bytes.NewReader(unhex(sectionLE)), &repeat{block: unhex(netifLE), times: maxInterfaces + 1})
	r := NewReader(in)
	var err error
	for err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, ErrMalformed) || !strings.HasSuffix(err.Error(), "more than 1048576 interfaces") {
		t.Errorf("error %v", err)
	}
}

// TestLyingLength makes sure that memory is taken for what arrives, not for
// what is promised.
func TestLyingLength(t *testing.T) {
	in := join(unhex(sectionLE, netifLE), unhex("06000000 00000008"), make([]byte, 100))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readAll(in); !errors.Is(err, ErrTruncated) {
		t.Errorf("error %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4*bufferLen {
		t.Errorf("%d bytes allocated for a block of which 108 bytes arrived", n)
	}
}

func TestLargeBlock(t *testing.T) {
	in := join(unhex(sectionLE), little.netif(231, 0), little.packet(0, 0, strings.Repeat("x", 5<<20)), unhex(packetLE))
	if got := raw(mustReadAll(t, in)); !bytes.Equal(got, in) {
		t.Error("blocks differ from input")
	}
}

// repeat is a reader of a block, many times.
type repeat struct {
	block []byte
	times int
	rest  []byte
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.rest) == 0 {
			if r.times == 0 {
				return n, io.EOF
			}
			r.times--
			r.rest = r.block
		}
		k := copy(p[n:], r.rest)
		n, r.rest = n+k, r.rest[k:]
	}
	return n, nil
}

func TestReadDoesNotAllocate(t *testing.T) {
	in := map[string]io.Reader{
		"pcapng": io.MultiReader(bytes.NewReader(unhex(sectionLE, netifLE)), &repeat{block: unhex(packetLE, simpleLE, oldLE), times: 1 << 20}),
		"pcap":   io.MultiReader(bytes.NewReader(unhex(classicLE)), &repeat{block: unhex(recordLE), times: 1 << 20}),
	}
	for name, input := range in {
		r := NewReader(input)
		var b Block
		read := func() {
			if err := r.Read(&b); err != nil {
				t.Fatal(err)
			}
			for options := b.Options(); ; {
				if _, ok := options.Next(); !ok {
					break
				}
			}
			_ = b.Frame()
		}
		for range 10 {
			read()
		}
		if n := testing.AllocsPerRun(10_000, read); n != 0 {
			t.Errorf("%s: %v allocations per block", name, n)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	block := little.packet(0, stamp/1000, strings.Repeat("x", 700), little.option(OptComment, "hello"), end)
	record := join(unhex(recordLE[:18], "bc020000 bc020000"), make([]byte, 700))
	for _, bench := range []struct {
		name        string
		head, block []byte
	}{
		{"pcapng", unhex(sectionLE, netifLE), block},
		{"pcap", unhex(classicLE), record},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := NewReader(io.MultiReader(bytes.NewReader(bench.head), &repeat{block: bench.block, times: 1 << 40}))
			var block Block
			b.SetBytes(int64(len(bench.block)))
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Read(&block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
