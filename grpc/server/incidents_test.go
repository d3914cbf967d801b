package server_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// TestIncidents checks that an analysis and a session say the same of the
// incidents of a capture, and that verdicts name them.
func TestIncidents(t *testing.T) {
	client := serve(t, nil)
	path := capturePath(t, "demo.pcapng")
	whole, err := analyze(t, client, &annotatorv1.AnalyzeOptions{Path: path, Verdicts: annotatorv1.Selection_SELECTION_ALL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	incidents := whole.summary.GetIncidents().GetIncidents()
	frames := map[uint32][]*annotatorv1.Verdict{}
	for _, v := range whole.verdicts {
		frames[v.GetIncident()] = append(frames[v.GetIncident()], v)
	}
	if len(incidents) < 3 || len(frames) != len(incidents)+1 {
		t.Fatalf("%d incidents, verdicts name %d", len(incidents), len(frames)-1)
	}
	for n, i := range incidents {
		mine := frames[i.GetNumber()]
		if int(i.GetNumber()) != n+1 || uint64(len(mine)) != i.GetFrames() || mine[0].GetFrame() != i.GetFirstFrame() ||
			mine[0].GetIncidentFirst() != i.GetFirstFrame() || mine[len(mine)-1].GetFrame() != i.GetLastFrame() ||
			i.GetType() == "" || i.GetReason() == "" || i.GetActorCount() == 0 || i.GetFilter() == "" || i.GetFirstNs() == 0 {
			t.Errorf("%v, of %d frames", i, len(mine))
		}
	}

	calls, _, err := open(t, client, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask(calls, captureFrames(t, "demo.pcapng", 4000)...); err != nil {
		t.Fatal(err)
	}
	_ = calls.Send(&annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Incidents{Incidents: &annotatorv1.IncidentsRequest{}}})
	answer, err := calls.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole.summary.GetIncidents(), answer.GetIncidents(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// TestManyIncidents: an answer stays within the 4 MiB that clients accept, and
// says what it leaves out.
func TestManyIncidents(t *testing.T) {
	client := serve(t, nil)
	calls, _, err := open(t, client, nil)
	if err != nil {
		t.Fatal(err)
	}
	const hosts = 3000
	for host := range hosts { // each sends enough to be judged by the model
		var frames []*annotatorv1.Frame
		for i := range 40 {
			frames = append(frames, &annotatorv1.Frame{TimeNs: 1, LinkType: 101, Length: 40, Data: syn(host, i)})
		}
		if _, err := ask(calls, frames...); err != nil {
			t.Fatal(err)
		}
	}
	_ = calls.Send(&annotatorv1.SessionRequest{Message: &annotatorv1.SessionRequest_Incidents{Incidents: &annotatorv1.IncidentsRequest{}}})
	answer, err := calls.Recv()
	if err != nil {
		t.Fatal(err)
	}
	list := answer.GetIncidents()
	if len(list.GetIncidents()) != 1024 || list.GetLeftOut() < hosts/2 || proto.Size(answer) > 4<<20 {
		t.Errorf("%d incidents, %d left out, %d bytes", len(list.GetIncidents()), list.GetLeftOut(), proto.Size(answer))
	}
	for n, i := range list.GetIncidents() {
		if n > 0 && i.GetNumber() <= list.GetIncidents()[n-1].GetNumber() {
			t.Fatalf("incident %d behind %d", i.GetNumber(), list.GetIncidents()[n-1].GetNumber())
		}
	}
}

// syn returns a TCP SYN of one of many hosts, as raw IPv4.
func syn(host, port int) []byte {
	var b bytes.Buffer
	b.Write([]byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 1, byte(host >> 8), byte(host), 192, 0, 2, byte(host)})
	b.Write([]byte{4, byte(port), 4, byte(port), 0, 0, 0, byte(port), 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0})
	return b.Bytes()
}

// TestExplain asks for one frame: the analysis ends with it unless more is asked
// for.
func TestExplain(t *testing.T) {
	client := serve(t, nil)
	path := capturePath(t, "demo.pcapng")
	for _, selection := range []annotatorv1.Selection{annotatorv1.Selection_SELECTION_NONE, annotatorv1.Selection_SELECTION_FLAGGED} {
		t.Run(fmt.Sprint(selection), func(t *testing.T) {
			got, err := analyze(t, client, &annotatorv1.AnalyzeOptions{Path: path, Verdicts: selection, Explain: 500}, nil)
			if err != nil {
				t.Fatal(err)
			}
			e := got.summary.GetExplanation()
			if e.GetVerdict().GetFrame() != 500 || len(e.GetFeatures()) == 0 || e.GetFeatures()[0].GetMedian() == "" {
				t.Errorf("%v", e)
			}
			if short := got.summary.GetFrames() == 500; short != (selection == annotatorv1.Selection_SELECTION_NONE) {
				t.Errorf("%d frames", got.summary.GetFrames())
			}
		})
	}
}
