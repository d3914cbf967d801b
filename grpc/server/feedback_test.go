package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"ampulla/annotator/feedback"
	"ampulla/annotator/flow"
	"ampulla/annotator/packet"
	"ampulla/grpc/server"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// withFeedback lets a server keep rules in a file of its own.
func withFeedback(t testing.TB) (path string, change func(*server.Config)) {
	path = filepath.Join(t.TempDir(), "ampulla", "feedback.yaml")
	return path, func(cfg *server.Config) {
		cfg.Feedback = feedback.NewFile(path, func(err error) { t.Error(err) })
	}
}

func TestFeedback(t *testing.T) {
	path, change := withFeedback(t)
	client := serve(t, change)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	scope := &annotatorv1.Scope{Hosts: []string{"10.0.0.66", "10.0.0.0/24"}, Service: "TCP/22", Type: "port_scan"}
	one, err := client.AddFeedback(t.Context(), &annotatorv1.AddFeedbackRequest{Says: "normal", Scope: scope, Why: "inventory"})
	if err != nil {
		t.Fatal(err)
	}
	scope.Service = "tcp/22"
	if one.GetId() != 1 || one.GetSays() != "normal" || !proto.Equal(one.GetScope(), scope) || one.GetWho() != me.Username ||
		one.GetWhy() != "inventory" || one.GetWhen().AsTime().Year() < 2026 {
		t.Error(one)
	}
	again, err := client.AddFeedback(t.Context(), &annotatorv1.AddFeedbackRequest{Says: "normal", Scope: scope, Who: "bob"})
	if err != nil || !proto.Equal(again, one) {
		t.Errorf("said again: %v, %v", again, err)
	}
	two, err := client.AddFeedback(t.Context(), &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: scope, Who: "bob"})
	if err != nil || two.GetId() != 2 || two.GetWho() != "bob" {
		t.Error(two, err)
	}
	list, err := client.ListFeedback(t.Context(), &annotatorv1.ListFeedbackRequest{})
	if err != nil || len(list.GetRules()) != 2 || !proto.Equal(list.GetRules()[0], one) || !proto.Equal(list.GetRules()[1], two) {
		t.Error(list, err)
	}
	undone, err := client.UndoFeedback(t.Context(), &annotatorv1.FeedbackId{Id: 1})
	if err != nil || !proto.Equal(undone, one) {
		t.Error(undone, err)
	}
	if _, err = client.UndoFeedback(t.Context(), &annotatorv1.FeedbackId{Id: 1}); status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	log, err := feedback.Load(path)
	if err != nil || len(log.Rules) != 1 || log.Rules[0].ID != 2 {
		t.Errorf("%+v, %v", log, err)
	}
	if err := os.WriteFile(path, []byte("rules:\n- what\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		second(client.AddFeedback(t.Context(), &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: &annotatorv1.Scope{Type: "flood"}})),
		second(client.ListFeedback(t.Context(), &annotatorv1.ListFeedbackRequest{})),
		second(client.UndoFeedback(t.Context(), &annotatorv1.FeedbackId{Id: 2})),
	} {
		if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "feedback.yaml:2: ") {
			t.Error("of a broken file: ", err)
		}
	}
	_, err = serve(t, nil).ListFeedback(t.Context(), &annotatorv1.ListFeedbackRequest{})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "--no-feedback") {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestWrongFeedback: what the contract does not allow is said, and changes
// nothing.
func TestWrongFeedback(t *testing.T) {
	path, change := withFeedback(t)
	client := serve(t, change)
	kind := &annotatorv1.Scope{Type: "beacon"}
	for _, tt := range []struct {
		want string
		r    *annotatorv1.AddFeedbackRequest
	}{
		{`says: "" is neither normal nor bad`, &annotatorv1.AddFeedbackRequest{Scope: kind}},
		{`says: "maybe" is neither normal nor bad`, &annotatorv1.AddFeedbackRequest{Says: "maybe", Scope: kind}},
		{"there is no scope: name hosts, a service or a type", &annotatorv1.AddFeedbackRequest{Says: "bad"}},
		{"there is no scope: name hosts, a service or a type", &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: &annotatorv1.Scope{}}},
		{`"router" is no address and no network`, &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: &annotatorv1.Scope{Hosts: []string{"router"}}}},
		{"hosts: 3, more than two", &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: &annotatorv1.Scope{Hosts: []string{"::1", "::2", "::3"}}}},
		{`"22" is no service such as tcp/22`, &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: &annotatorv1.Scope{Service: "22"}}},
		{`type: there is no "worm"`, &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: &annotatorv1.Scope{Type: "worm"}}},
		{"who: 101 bytes, more than 100", &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: kind, Who: strings.Repeat("x", 101)}},
		{"why: 501 bytes, more than 500", &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: kind, Why: strings.Repeat("x", 501)}},
		{"why: control characters, or no UTF-8", &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: kind, Why: "a\nb"}},
	} {
		if _, err := client.AddFeedback(t.Context(), tt.r); status.Code(err) != codes.InvalidArgument || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%v: %v", tt.r, err)
		}
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// TestFeedbackFromAfar: over TCP, where nobody knows who calls, nobody is named.
func TestFeedbackFromAfar(t *testing.T) {
	_, change := withFeedback(t)
	listener := bufconn.Listen(1 << 20)
	r := start(t, filepath.Join(t.TempDir(), "run", "a.sock"), change, server.Endpoint{Listener: listener})
	conn, err := grpc.NewClient("passthrough:///annotator", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said, err := annotatorv1.NewAnnotatorClient(conn).AddFeedback(t.Context(), &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: &annotatorv1.Scope{Type: "flood"}})
	if err != nil || said.GetWho() != "" || said.GetId() != 1 {
		t.Error(said, err)
	}
	_ = conn.Close()
	r.stop()
	if err := <-r.done; err != nil {
		t.Error(err)
	}
}

// TestFeedbackScope: what is said of a packet, in any part of what can be said of
// it, changes the verdicts of exactly the packets in that scope, that one among
// them, and undone it changes none. What is in a scope is decided on here from
// text.
func TestFeedbackScope(t *testing.T) {
	const name = "demo.pcapng"
	_, change := withFeedback(t)
	client := serve(t, change)
	judge := func(explain uint64) analyzed {
		t.Helper()
		got, err := analyze(t, client, &annotatorv1.AnalyzeOptions{
			Path: capturePath(t, name), Verdicts: annotatorv1.Selection_SELECTION_ALL, Explain: explain}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	without := judge(0).verdicts
	parties := partiesOf(captureFrames(t, name, len(without)))
	r := rand.New(rand.NewPCG(10, 3))
	changes, kept := 0, 0
	for round := range 40 {
		frame := uint64(1 + r.IntN(len(without)))
		scope := judge(frame).summary.GetExplanation().GetScope()
		if scope.GetType() != without[frame-1].GetType() || strings.Join(scope.GetHosts(), " ") == "" || scope.GetService() != parties[frame-1].service {
			t.Fatalf("frame %d: %v, %+v", frame, scope, parties[frame-1])
		}
		scope = part(r, scope)
		says := [...]string{"normal", "bad"}[round%2]
		said, err := client.AddFeedback(t.Context(), &annotatorv1.AddFeedbackRequest{Says: says, Scope: scope})
		if err != nil {
			t.Fatal(err)
		}
		with := judge(frame)
		for i, v := range with.verdicts {
			before := without[i]
			want := parties[i].within(scope, before.GetType()) && (says == "normal" && before.GetType() != "" || says == "bad" && before.GetScorePermille() <= 800)
			if got := v.GetRule() == said.GetId(); got != want || !got && !same(v, before) {
				t.Fatalf("%s of %v: frame %d %+v\n%v became\n%v", says, scope, i+1, parties[i], before, v)
			}
			if want {
				changes++
			} else {
				kept++
			}
		}
		if then := with.summary.GetExplanation().GetScope().GetType(); then != without[frame-1].GetType() {
			t.Errorf("frame %d: the type was %q, with a rule it is %q", frame, without[frame-1].GetType(), then)
		}
		if _, err := client.UndoFeedback(t.Context(), &annotatorv1.FeedbackId{Id: said.GetId()}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.EqualFunc(judge(0).verdicts, without, func(a, b *annotatorv1.Verdict) bool { return proto.Equal(a, b) }) {
		t.Error("undone, rules still change something")
	}
	if changes < 1000 || kept < 1000 {
		t.Errorf("%d changed, %d kept: the test says little", changes, kept)
	}
}

// same tells whether verdicts are the same but for their incidents, which rules
// number anew.
func same(a, b *annotatorv1.Verdict) bool {
	a, b = proto.CloneOf(a), proto.CloneOf(b)
	a.Incident, a.IncidentFirst, b.Incident, b.IncidentFirst = 0, 0, 0, 0
	return proto.Equal(a, b)
}

// part leaves some of a scope out, but not all, and makes networks of some hosts.
func part(r *rand.Rand, whole *annotatorv1.Scope) *annotatorv1.Scope {
	for {
		s := &annotatorv1.Scope{}
		for _, host := range whole.GetHosts() {
			switch r.IntN(4) {
			case 0:
			case 1:
				a := netip.MustParseAddr(host)
				s.Hosts = append(s.Hosts, netip.PrefixFrom(a, a.BitLen()-8).Masked().String())
			default:
				s.Hosts = append(s.Hosts, host)
			}
		}
		if r.IntN(2) == 0 {
			s.Service = whole.GetService()
		}
		if r.IntN(2) == 0 {
			s.Type = whole.GetType()
		}
		if len(s.GetHosts()) > 0 || s.GetService() != "" || s.GetType() != "" {
			return s
		}
	}
}

// parties are whom a packet is about, in text.
type parties struct{ source, destination, service string }

// partiesOf returns those of each frame.
func partiesOf(frames []*annotatorv1.Frame) []parties {
	var decoder packet.Decoder
	table := flow.NewTable(flow.Default())
	all := make([]parties, len(frames))
	for i, f := range frames {
		var p packet.Packet
		var o flow.Observation
		decoder.Decode(packet.Frame{Time: f.GetTimeNs(), LinkType: uint16(f.GetLinkType()), Length: f.GetLength(), Data: f.GetData()[:min(len(f.GetData()), packet.SnapLen)]}, &p)
		table.Observe(&p, &o)
		switch {
		case p.Version != 0:
			all[i] = parties{source: p.Src.Netip().String(), destination: p.Dst.Netip().String()}
		case p.ARPOp != 0:
			all[i] = parties{source: p.ARPSender.Netip().String(), destination: p.ARPTarget.Netip().String()}
		}
		if kind := map[uint8]string{packet.ProtoTCP: "tcp", packet.ProtoUDP: "udp"}[p.Proto]; kind != "" {
			_, port := o.Server()
			all[i].service = fmt.Sprintf("%s/%d", kind, port)
		}
	}
	return all
}

// within tells whether a packet with a verdict of that type is in a scope.
func (p parties) within(s *annotatorv1.Scope, kind string) bool {
	is := func(host, name string) bool {
		network, err := netip.ParsePrefix(name)
		return name == host || err == nil && host != "" && network.Contains(netip.MustParseAddr(host))
	}
	hosts := true
	switch h := s.GetHosts(); len(h) {
	case 1:
		hosts = is(p.source, h[0]) || is(p.destination, h[0])
	case 2:
		hosts = is(p.source, h[0]) && is(p.destination, h[1]) || is(p.source, h[1]) && is(p.destination, h[0])
	}
	return hosts && (s.GetService() == "" || s.GetService() == p.service) && (s.GetType() == "" || s.GetType() == kind)
}

// TestRulesOfSessions: a session goes by the rules that there were when it began,
// by none, or by those that there are.
func TestRulesOfSessions(t *testing.T) {
	_, change := withFeedback(t)
	client := serve(t, change)
	frames := captureFrames(t, "demo.pcapng", 4000)
	half := len(frames) / 2
	begin := func(rules annotatorv1.Rules, want uint32) session {
		t.Helper()
		calls, started, err := open(t, client, &annotatorv1.SessionOptions{Rules: rules})
		if err != nil || started.GetRules() != want {
			t.Fatalf("%v, %v", started, err)
		}
		return calls
	}
	changed := func(calls session, frames []*annotatorv1.Frame) int {
		t.Helper()
		verdicts, err := ask(calls, frames...)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, v := range verdicts {
			if v.GetRule() != 0 {
				n++
			}
		}
		return n
	}
	before, follows := begin(0, 0), begin(annotatorv1.Rules_RULES_FOLLOW, 0)
	if n := changed(before, frames[:half]) + changed(follows, frames[:half]); n > 0 {
		t.Errorf("%d verdicts changed without a rule", n)
	}
	if _, err := client.AddFeedback(t.Context(), &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: &annotatorv1.Scope{Hosts: []string{"0.0.0.0/0"}}}); err != nil {
		t.Fatal(err)
	}
	after, none := begin(0, 1), begin(annotatorv1.Rules_RULES_NONE, 0)
	if n := changed(before, frames[half:]) + changed(none, frames); n > 0 {
		t.Errorf("%d verdicts changed by a rule that is not theirs", n)
	}
	if a, b := changed(after, frames[:half]), changed(follows, frames[half:]); a < half/2 || b < half/2 {
		t.Errorf("%d and %d verdicts changed", a, b)
	}
	if _, _, err := open(t, client, &annotatorv1.SessionOptions{Rules: 7}); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
}
