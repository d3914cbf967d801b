package pcapng

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOptions(t *testing.T) {
	tests := []struct {
		name    string
		options []byte
		want    []Option
	}{
		{"none", nil, nil},
		{"end only", end, nil},
		{"comment", little.option(1, "hello"), []Option{{1, []byte("hello"), 32}}},
		{"empty comment", little.option(1, ""), []Option{{1, []byte{}, 32}}},
		{"unknown and custom ones", join(little.option(0x7777, "abc"), little.option(2988, "\x01\x00\x00\x00x"), end),
			[]Option{{0x7777, []byte("abc"), 32}, {2988, []byte("\x01\x00\x00\x00x"), 40}}},
		{"what follows the end is not looked at", join(little.option(1, "a"), end, unhex("0100ffff")), []Option{{1, []byte("a"), 32}}},
	}
	for _, tt := range tests {
		in := join(unhex(sectionLE, netifLE), little.packet(0, 0, "x", tt.options))
		b := mustReadAll(t, in)[2]
		var got []Option
		for options := b.Options(); ; {
			o, ok := options.Next()
			if !ok {
				break
			}
			got = append(got, o)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: options (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestAppendEdited shows what a comment does to the options of a block, and
// that dropping it undoes that.
func TestAppendEdited(t *testing.T) {
	comment := little.option(OptComment, "hello")
	other := little.option(OptComment, "mine")
	flags := little.option(2, "\x01\x00\x00\x00")
	tests := []struct {
		name         string
		before, with []byte // options
	}{
		{"no options", nil, join(comment, end)},
		{"end only", end, join(little.option(OptComment, "hello"+EndMark), end)},
		{"option and end", join(flags, end), join(flags, comment, end)},
		{"option without end", flags, join(flags, comment)},
		{"comment of others", join(other, flags, end), join(other, flags, comment, end)},
		{"same option twice", join(flags, flags, end), join(flags, flags, comment, end)},
		{"bytes behind the end", join(flags, end, unhex("01000000 ffffffff")), join(flags, comment, end, unhex("01000000 ffffffff"))},
		{"end only, and bytes behind it", join(end, unhex("01000000")), join(comment, end, unhex("01000000"))},
		{"two ends", join(end, end), join(comment, end, end)},
		{"padding that is not zero", join(unhex("0100 0100 61ffffff"), end), join(unhex("0100 0100 61ffffff"), comment, end)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			head := unhex(sectionLE, netifLE)
			in := little.packet(0, 7, "abc", tt.before)
			want := little.packet(0, 7, "abc", tt.with)
			b := mustReadAll(t, join(head, in))[2]
			got, dropped, err := b.AppendEdited([]byte("prefix"), nil, []byte("hello"))
			if err != nil || dropped != 0 {
				t.Fatalf("%d dropped, error %v", dropped, err)
			}
			if diff := cmp.Diff(join([]byte("prefix"), want), got); diff != "" {
				t.Errorf("with comment (-want +got):\n%s", diff)
			}
			b = mustReadAll(t, join(head, want))[2]
			again, dropped, err := b.AppendEdited(nil, isHello, []byte("hello"))
			if err != nil || dropped != 1 || !bytes.Equal(again, want) {
				t.Errorf("replaced: %d dropped, error %v\n%s", dropped, err, cmp.Diff(want, again))
			}
			without, dropped, err := b.AppendEdited(nil, isHello, nil)
			if err != nil || dropped != 1 {
				t.Fatalf("%d dropped, error %v", dropped, err)
			}
			if diff := cmp.Diff(in, without); diff != "" {
				t.Errorf("without comment (-want +got):\n%s", diff)
			}
		})
	}
}

func isHello(comment []byte) bool { return bytes.HasPrefix(comment, []byte("hello")) }

// TestAppendEditedBlocks edits the other blocks that have options, in both byte
// orders.
func TestAppendEditedBlocks(t *testing.T) {
	tests := []struct {
		name           string
		in, edited     []byte
		index          int
		before, behind []byte
	}{
		{name: "big endian", before: unhex(sectionBE, netifBE), in: unhex(packetBE), edited: unhex(
			"00000006 00000038 00000000 00050655 00989680 00000005 0000003c 0102030405000000",
			"0001 0005 68656c6c6f000000 00000000 00000038")},
		{name: "old packet", before: unhex(sectionLE, netifLE), in: unhex(oldLE), edited: unhex(
			"02000000 38000000 0000ffff 55060500 80969800 05000000 3c000000 0102030405000000",
			"0100 0500 68656c6c6f000000 00000000 38000000")},
		{name: "section header", in: unhex(sectionLE), edited: unhex(
			"0a0d0d0a 2c000000 4d3c2b1a 01000000 ffffffffffffffff",
			"0100 0500 68656c6c6f000000 00000000 2c000000")},
		{name: "interface description", before: unhex(sectionLE), in: unhex(netifLE), edited: unhex(
			"01000000 24000000 01000000 00000400",
			"0100 0500 68656c6c6f000000 00000000 24000000")},
		{name: "lengths without padding", before: unhex(sectionLE, netifLE),
			in:     unhex("06000000 25000000 00000000 00000000 00000000 05000000 05000000 0102030405ffffff 26000000"),
			edited: unhex("06000000 35000000 00000000 00000000 00000000 05000000 05000000 0102030405ffffff 0100 0500 68656c6c6f000000 00000000 36000000")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			blocks := mustReadAll(t, join(tt.before, tt.in))
			edited, _, err := blocks[len(blocks)-1].AppendEdited(nil, nil, []byte("hello"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.edited, edited); diff != "" {
				t.Errorf("with comment (-want +got):\n%s", diff)
			}
			blocks = mustReadAll(t, join(tt.before, tt.edited))
			without, _, err := blocks[len(blocks)-1].AppendEdited(nil, isHello, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.in, without); diff != "" {
				t.Errorf("without comment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendEditedErrors(t *testing.T) {
	head := unhex(sectionLE, netifLE)
	for name, in := range map[string][]byte{
		"simple packet":   unhex(simpleLE),
		"custom block":    little.block(TypeCustom, make([]byte, 4)),
		"name resolution": little.block(TypeNameResolution, make([]byte, 4)),
	} {
		b := mustReadAll(t, join(head, in))[2]
		if out, _, err := b.AppendEdited([]byte("x"), nil, []byte("hello")); !errors.Is(err, ErrNoOptions) || string(out) != "x" {
			t.Errorf("%s: error %v, output %q", name, err, out)
		}
		if b.HasOptions() {
			t.Errorf("%s has options", name)
		}
	}
	b := mustReadAll(t, unhex(sectionLE, netifLE, packetLE))[2]
	for _, text := range []string{"hello" + EndMark, strings.Repeat("x", MaxComment-len(EndMark)+1)} {
		if _, _, err := b.AppendEdited(nil, nil, []byte(text)); err == nil {
			t.Errorf("no error for a comment of %d bytes", len(text))
		}
	}
	longest := strings.Repeat("x", MaxComment-len(EndMark))
	edited, _, err := b.AppendEdited(nil, nil, []byte(longest))
	if err != nil {
		t.Fatal(err)
	}
	b = mustReadAll(t, join(head, edited))[2]
	options := b.Options()
	if o, _ := options.Next(); string(o.Value) != longest {
		t.Errorf("comment of %d bytes, want %d", len(o.Value), len(longest))
	}
}

func TestSectionLength(t *testing.T) {
	for name, w := range map[string]wire{"little": little, "big": bigEnd} {
		b := mustReadAll(t, w.section(4242))[0]
		if got := b.SectionLength(); got != 4242 {
			t.Errorf("%s: section length %d", name, got)
		}
		b.SetSectionLength(-1)
		if !bytes.Equal(b.Raw, w.section(-1)) {
			t.Errorf("%s: %x", name, b.Raw)
		}
	}
}

func TestAppendEditedDoesNotAllocate(t *testing.T) {
	b := mustReadAll(t, unhex(sectionLE, netifLE, packetLE))[2]
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, err := b.AppendEdited(buf, isHello, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendEdited(b *testing.B) {
	in := join(unhex(sectionLE, netifLE), little.packet(0, 7, strings.Repeat("x", 700)))
	block := mustReadAll(b, in)[2]
	comment := strings.Repeat("c", 150)
	var buf []byte
	b.SetBytes(int64(len(block.Raw)))
	b.ReportAllocs()
	for b.Loop() {
		buf, _, _ = block.AppendEdited(buf[:0], isHello, []byte(comment))
	}
}
