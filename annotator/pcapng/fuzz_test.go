package pcapng

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// seed adds captures of all kinds to a corpus.
func seed(f *testing.F) {
	f.Add(unhex(sectionLE, netifLE, packetLE, simpleLE, oldLE))
	f.Add(unhex(sectionBE, netifBE, packetBE, simpleBE, oldBE))
	f.Add(unhex(sectionLE, netifLE, packetLE, sectionBE, netifBE, packetBE))
	f.Add(join(little.section(40, little.option(OptComment, "c"), end), unhex(netifLE, packetLE)))
	f.Add(join(bigEnd.section(-1, end), bigEnd.netif(1, 0, bigEnd.option(optTsResol, "\x89"), bigEnd.option(optTsOffset, "12345678")),
		bigEnd.packet(0, 1<<60, "abc", bigEnd.option(OptComment, "a"), bigEnd.option(OptComment, "b"))))
	f.Add(join(unhex(sectionLE, netifLE), little.packet(0, 0, "", end), little.packet(0, 0, "abcd", little.option(1, "a"+EndMark), end)))
	f.Add(join(unhex(sectionLE), little.block(TypeJournal, []byte("__REALTIME_TIMESTAMP=1500000000000001\n")),
		little.block(TypeCustom, make([]byte, 8)), little.block(TypeSysdigEvent, make([]byte, 24)), little.block(TypeSecrets, make([]byte, 8))))
	f.Add(unhex("0a0d0d0a 1d000000 4d3c2b1a 01000200 0000000000000000 1e000000"))
	f.Add(join(unhex(sectionLE, netifLE), make([]byte, 12)))
	for _, v := range variants {
		v.order, v.snapLen = bigEnd.AppendByteOrder, 65535
		f.Add(v.file(2))
		v.order = little.AppendByteOrder
		f.Add(v.file(1))
	}
	f.Add(gzipped(f, unhex(sectionLE, netifLE, packetLE)))
	f.Add(zstandard(f, unhex(sectionLE, netifLE, packetLE)))
}

// smallBuffer makes fuzzing faster, in bytes.
const smallBuffer = 16 << 10

// FuzzReader reads anything: no panic, no frame outside its block, no more
// memory than the input is worth.
func FuzzReader(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		r.MaxBlock = 1 << 20 // compressed input can be worth a lot
		r.buffer = smallBuffer
		var b Block
		offset, index := int64(-1), uint64(0)
		for range 10_000 {
			err := r.Read(&b)
			var broken *Error
			switch {
			case err == io.EOF:
				return
			case errors.As(err, &broken):
				if broken.Kind == nil {
					t.Fatalf("error %v has no kind", err)
				}
				return
			case err != nil:
				t.Fatalf("error %v is no Error", err)
			}
			index++
			if b.Index != index || b.Offset < offset {
				t.Fatalf("block %d at %d follows one at %d", b.Index, b.Offset, offset)
			}
			offset = b.Offset
			if cap(b.Raw) > 4*bufferLen {
				t.Fatalf("buffer of %d bytes", cap(b.Raw))
			}
			if len(b.Raw)%4 != 0 || len(b.Raw) < minBlockLen {
				t.Fatalf("block of %d bytes", len(b.Raw))
			}
			if b.IsFrame() && len(b.Data()) != int(b.Captured) {
				t.Fatalf("%d bytes of data, %d captured", len(b.Data()), b.Captured)
			}
			b.Frame()
			for options := b.Options(); ; {
				if _, ok := options.Next(); !ok {
					break
				}
			}
		}
	})
}

// FuzzRoundTrip copies all blocks of a pcapng file: the bytes are the same, up
// to where it breaks. The conversion of a pcap file reads like the file.
func FuzzRoundTrip(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 2 && (in[0] == 0x1f || in[0] == 0x28) {
			return // compressed
		}
		blocks, err := readAll(in)
		out := raw(blocks)
		if !bytes.HasPrefix(in, []byte("\n\r\r\n")) {
			again, err := readAll(out)
			if len(blocks) > 0 && err != nil {
				t.Fatalf("conversion cannot be read: %v", err)
			}
			if len(again) != len(blocks) {
				t.Fatalf("%d blocks, then %d", len(blocks), len(again))
			}
			for i := range blocks {
				if x, y := blocks[i].Frame(), again[i].Frame(); x.Time != y.Time || x.LinkType != y.LinkType ||
					x.Length != y.Length || !bytes.Equal(x.Data, y.Data) {
					t.Fatalf("block %d: %v, then %v", i+1, x, y)
				}
			}
			return
		}
		if err == nil && len(out) != len(in) || !bytes.HasPrefix(in, out) {
			t.Fatalf("%d bytes became %d different ones", len(in), len(out))
		}
	})
}

// FuzzEdit adds a comment to each block and drops it again: the bytes are the
// same, and the edited capture is read like the original.
func FuzzEdit(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		const text = "AI: a comment that no seed has"
		ours := func(comment []byte) bool { return strings.HasPrefix(string(comment), text) }
		if bytes.Contains(in, []byte(text)) {
			return
		}
		blocks, _ := readAll(in)
		var edited []byte
		for i := range blocks {
			var err error
			b := &blocks[i]
			if !b.HasOptions() {
				edited = append(edited, b.Raw...)
			} else if edited, _, err = b.AppendEdited(edited, ours, []byte(text[:len(text)-i%4]+strings.Repeat("!", i%4))); err != nil {
				t.Fatal(err)
			}
		}
		ours = func(comment []byte) bool { return strings.HasPrefix(string(comment), text[:len(text)-3]) }
		again, err := readAll(edited)
		if len(blocks) > 0 && err != nil {
			t.Fatalf("edited capture cannot be read: %v", err)
		}
		if len(again) != len(blocks) {
			t.Fatalf("%d blocks, edited %d", len(blocks), len(again))
		}
		for i := range again {
			b := &again[i]
			if !bytes.Equal(b.Data(), blocks[i].Data()) || b.Time != blocks[i].Time {
				t.Fatalf("block %d: frame has changed", b.Index)
			}
			if !b.HasOptions() {
				continue
			}
			restored, dropped, err := b.AppendEdited(nil, ours, nil)
			if err != nil || dropped != 1 || !bytes.Equal(restored, blocks[i].Raw) {
				t.Fatalf("block %d: %d dropped, error %v\nhad  %x\ngave %x", b.Index, dropped, err, blocks[i].Raw, restored)
			}
		}
	})
}
