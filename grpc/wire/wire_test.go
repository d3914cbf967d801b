package wire

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ampulla/annotator/packet"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// encode returns a message as it is sent.
func encode(t testing.TB, batch *Batch) []byte {
	t.Helper()
	data, err := NewCodec().Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	return data.Materialize()
}

// generated returns a message as generated code writes it.
func generated(t testing.TB, m proto.Message) []byte {
	t.Helper()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFrames writes batches of frames as generated code does, and reads them.
func TestFrames(t *testing.T) {
	var batch Batch
	for _, sizes := range [][]int{{0}, {1}, {100, 127, 128, 129}, {512, 0, 3}, {16_383, 16_384, 100_000, 1}} {
		batch.Reset()
		want := &annotatorv1.FrameBatch{}
		for i, n := range sizes {
			f := packet.Frame{Time: int64(i)*math.MaxInt64 - int64(n), LinkType: uint16(n), Length: uint32(n) << 10, Data: bytes.Repeat([]byte{0xa5}, n)}
			batch.AddFrame(&f)
			want.Frames = append(want.Frames, &annotatorv1.Frame{TimeNs: f.Time, LinkType: uint32(f.LinkType), Length: f.Length, Data: f.Data})
		}
		message := encode(t, &batch)
		if !bytes.Equal(message, generated(t, &annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Frames{Frames: want}})) {
			t.Fatalf("frames of %d bytes: other bytes than those of generated code", sizes)
		}
		if batch.Len() != len(sizes) {
			t.Errorf("%d frames, want %d", batch.Len(), len(sizes))
		}
		compareFrames(t, message)
	}
}

// compareFrames reads a request with generated code as well.
func compareFrames(t *testing.T, message []byte) {
	t.Helper()
	var got []Frame
	ok, err := Frames(message, func(f Frame) error { got = append(got, f); return nil })
	var request annotatorv1.SessionRequest
	unmarshaling := proto.Unmarshal(message, &request)
	if !ok {
		if len(got) > 0 || err != nil {
			t.Fatalf("%d frames and error %v of what is no batch", len(got), err)
		}
		return
	}
	if (err != nil) != (unmarshaling != nil) {
		t.Fatalf("error %v, generated code has %v", err, unmarshaling)
	}
	if err != nil {
		return
	}
	var want []Frame
	for _, f := range request.GetFrames().GetFrames() {
		want = append(want, Frame{f.GetTimeNs(), f.GetLinkType(), f.GetLength(), f.GetData()})
	}
	for i := range got {
		if i < len(want) && bytes.Equal(got[i].Data, want[i].Data) {
			got[i].Data = want[i].Data // nil or empty
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-generated +got:\n%s", diff)
	}
}

var someVerdicts = []*annotatorv1.Verdict{
	{Frame: 1, Class: "dns", ConfidencePercent: 98, ScorePermille: 31, Level: annotatorv1.Level_LEVEL_NORMAL, Flow: 1, CommunityId: "1:abc="},
	{},
	{Frame: math.MaxUint64, Class: "tls", ScorePermille: 1000, Level: annotatorv1.Level_LEVEL_ANOMALOUS, Type: "port_scan",
		Reason: "412 SYNs to 398 ports, a sentence that is longer than what one byte of length has room for, so that it takes two of them",
		Flow:   math.MaxUint32, Flagged: true, Incident: 7, IncidentFirst: 3, Rule: 9},
	{Level: -1},
}

// TestVerdicts writes a batch of verdicts as generated code does, and reads it.
func TestVerdicts(t *testing.T) {
	for n := range len(someVerdicts) + 1 {
		var batch Batch
		want := &annotatorv1.VerdictBatch{Verdicts: someVerdicts[:n]}
		for _, v := range want.GetVerdicts() {
			batch.AddVerdict(v)
		}
		message := encode(t, &batch)
		if !bytes.Equal(message, generated(t, &annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Verdicts{Verdicts: want}})) {
			t.Fatalf("%d verdicts: other bytes than those of generated code", n)
		}
		compareVerdicts(t, message)
	}
}

// TestEveryField fails when the contract has a field that is not written or not
// read here.
func TestEveryField(t *testing.T) {
	v, f := new(annotatorv1.Verdict), new(annotatorv1.Frame)
	fillIn(t, v)
	fillIn(t, f)
	var batch Batch
	batch.AddVerdict(v)
	message := encode(t, &batch)
	if !bytes.Equal(message, generated(t, &annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Verdicts{
		Verdicts: &annotatorv1.VerdictBatch{Verdicts: []*annotatorv1.Verdict{v}}}})) {
		t.Errorf("other bytes than those of generated code for %v", v)
	}
	compareVerdicts(t, message)
	if ok, err := Verdicts(message, func(got *Verdict) error {
		if diff := cmp.Diff(VerdictOf(v), got); diff != "" {
			t.Errorf("-VerdictOf +Verdicts:\n%s", diff)
		}
		return nil
	}); !ok || err != nil {
		t.Error(ok, err)
	}
	batch.Reset()
	batch.AddFrame(&packet.Frame{Time: f.GetTimeNs(), LinkType: uint16(f.GetLinkType()), Length: f.GetLength(), Data: f.GetData()})
	message = encode(t, &batch)
	if !bytes.Equal(message, generated(t, &annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Frames{
		Frames: &annotatorv1.FrameBatch{Frames: []*annotatorv1.Frame{f}}}})) {
		t.Errorf("other bytes than those of generated code for %v", f)
	}
	compareFrames(t, message)
}

// fillIn gives every field of a message a value of its own that is not zero.
func fillIn(t *testing.T, m proto.Message) {
	t.Helper()
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		n := int(field.Number())
		var v protoreflect.Value
		switch field.Kind() {
		case protoreflect.BoolKind:
			v = protoreflect.ValueOfBool(true)
		case protoreflect.EnumKind:
			v = protoreflect.ValueOfEnum(protoreflect.EnumNumber(field.Enum().Values().Len() - 1))
		case protoreflect.Uint32Kind:
			v = protoreflect.ValueOfUint32(uint32(n))
		case protoreflect.Uint64Kind:
			v = protoreflect.ValueOfUint64(uint64(n))
		case protoreflect.Sfixed64Kind:
			v = protoreflect.ValueOfInt64(-int64(n))
		case protoreflect.StringKind:
			v = protoreflect.ValueOfString(string(field.Name()))
		case protoreflect.BytesKind:
			v = protoreflect.ValueOfBytes([]byte(field.Name()))
		default:
			t.Fatalf("field %s is of a kind that this package knows nothing about: %v", field.FullName(), field.Kind())
		}
		m.ProtoReflect().Set(field, v)
	}
}

// compareVerdicts reads an answer with generated code as well.
func compareVerdicts(t *testing.T, message []byte) {
	t.Helper()
	var got []*annotatorv1.Verdict
	ok, err := Verdicts(message, func(v *Verdict) error {
		got = append(got, &annotatorv1.Verdict{
			Frame: v.Frame, Class: string(v.Class), ConfidencePercent: v.ConfidencePercent, ScorePermille: v.ScorePermille, Level: v.Level,
			Type: string(v.Type), Reason: string(v.Reason), Flow: v.Flow, CommunityId: string(v.CommunityID), Flagged: v.Flagged,
			Incident: v.Incident, IncidentFirst: v.IncidentFirst, Rule: v.Rule, Hindsight: v.Hindsight,
		})
		return nil
	})
	if !ok {
		if len(got) > 0 || err != nil {
			t.Fatalf("%d verdicts and error %v of what is no batch", len(got), err)
		}
		return
	}
	var answer annotatorv1.SessionResponse
	unmarshaling := proto.Unmarshal(message, &answer)
	if err != nil && unmarshaling == nil {
		t.Fatalf("error %v, generated code has none", err)
	}
	if unmarshaling != nil {
		return // texts may be no UTF-8
	}
	want := answer.GetVerdicts().GetVerdicts()
	if len(got) != len(want) {
		t.Fatalf("%d verdicts, want %d", len(got), len(want))
	}
	for i := range got {
		want[i].ProtoReflect().SetUnknown(nil)
		if !proto.Equal(got[i], want[i]) {
			t.Fatalf("verdict %v, want %v", got[i], want[i])
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(generated(f, &annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Frames{Frames: &annotatorv1.FrameBatch{
		Frames: []*annotatorv1.Frame{{TimeNs: 1, LinkType: 1, Length: 60, Data: []byte("abc")}, {}}}}}))
	f.Add([]byte("\x12\x04\x0a\x02\x10\x01\x12\x04\x0a\x02\x10\x01")) // two batches, which generated code merges
	f.Add([]byte("\x12\x06\xa2\xa2\xa2\xa2\xa2\x00"))                 // the number of a field is too large
	f.Fuzz(compareFrames)
}

func FuzzVerdicts(f *testing.F) {
	f.Add(generated(f, &annotatorv1.SessionResponse{Message: &annotatorv1.SessionResponse_Verdicts{Verdicts: &annotatorv1.VerdictBatch{Verdicts: someVerdicts}}}))
	f.Fuzz(compareVerdicts)
}

// TestAllocations checks that frames and verdicts in the middle of a session take
// no memory.
func TestAllocations(t *testing.T) {
	var batch Batch
	frame := packet.Frame{Time: 1, LinkType: 1, Length: 60, Data: make([]byte, 60)}
	message := func(add func()) []byte {
		batch.Reset()
		for range 256 {
			add()
		}
		return batch.message(mem.NopBufferPool{}).ReadOnlyData()
	}
	addFrame, addVerdict := func() { batch.AddFrame(&frame) }, func() { batch.AddVerdict(someVerdicts[2]) }
	frames, verdicts := message(addFrame), message(addVerdict)
	for _, tt := range []struct {
		name string
		most float64
		work func()
	}{
		{"add a frame", 0, func() { batch.Reset(); addFrame() }},
		{"add a verdict", 0, func() { batch.Reset(); addVerdict() }},
		{"visit 256 frames", 0, func() { _, _ = Frames(frames, func(Frame) error { return nil }) }},
		{"visit 256 verdicts", 1, func() { _, _ = Verdicts(verdicts, func(*Verdict) error { return nil }) }},
	} {
		if n := testing.AllocsPerRun(100, tt.work); n > tt.most {
			t.Errorf("%s: %v allocations, want %v", tt.name, n, tt.most)
		}
	}
}
