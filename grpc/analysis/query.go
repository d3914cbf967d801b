package analysis

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// Page sizes of lists.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// page returns where a page begins and how long it is at most. A token is the
// number of the first element.
func page(size uint32, token string) (from, n int, err error) {
	if size > MaxPage {
		return 0, 0, status.Errorf(codes.InvalidArgument, "page_size: %d is more than %d", size, MaxPage)
	}
	if size == 0 {
		size = DefaultPage
	}
	if token != "" {
		if from, err = strconv.Atoi(token); err != nil || from < 0 {
			return 0, 0, status.Errorf(codes.InvalidArgument, "page_token: %.20q is not of this list", token)
		}
	}
	return from, int(size), nil
}

// cut returns the elements of a page, and the token of the next.
func cut[T any](all []T, from, n int) (part []T, next string) {
	from = min(from, len(all))
	part = all[from:min(from+n, len(all))]
	if from+n < len(all) {
		next = strconv.Itoa(from + n)
	}
	return part, next
}

// conditions are what packets and conversations are looked for by.
type conditions struct {
	score  float64
	kind   string
	host   string
	port   uint32
	frames [2]uint32
}

// check returns an INVALID_ARGUMENT error for conditions that nothing can meet.
func (c *conditions) check() error {
	switch {
	case !(c.score >= 0 && c.score <= 1):
		return status.Errorf(codes.InvalidArgument, "min_score: %v is not between 0 and 1", c.score)
	case c.kind != "" && !slices.Contains(verdict.Types, verdict.Type(c.kind)):
		return status.Errorf(codes.InvalidArgument, "type: %.30q is none of %v", c.kind, verdict.Types)
	case c.port > math.MaxUint16:
		return status.Errorf(codes.InvalidArgument, "port: %d is none", c.port)
	case c.frames[1] != 0 && c.frames[1] < c.frames[0]:
		return status.Errorf(codes.InvalidArgument, "last_frame: %d comes before %d", c.frames[1], c.frames[0])
	}
	if c.host == "" {
		return nil
	}
	addr, err := netip.ParseAddr(c.host)
	if err != nil || addr.Zone() != "" {
		return status.Errorf(codes.InvalidArgument, "host: %.60q is no IP address", c.host)
	}
	c.host = addr.Unmap().String()
	return nil
}

// atEitherEnd tells whether the host and the port, as far as there are
// conditions on them, are those of the sender or the receiver of a packet.
func (c *conditions) atEitherEnd(x *index, r *row) bool {
	return (c.port == 0 || uint32(r.srcPort) == c.port || uint32(r.dstPort) == c.port) &&
		(c.host == "" || x.strings[r.src] == c.host || x.strings[r.dst] == c.host)
}

// Packets lists packets of a job that is done.
func (j *Job) Packets(q *annotatorv1.ListPacketsRequest) (*annotatorv1.PacketList, error) {
	c := conditions{q.GetMinScore(), q.GetType(), q.GetHost(), q.GetPort(), [2]uint32{q.GetFirstFrame(), q.GetLastFrame()}}
	if err := c.check(); err != nil {
		return nil, err
	}
	from, n, err := page(q.GetPageSize(), q.GetPageToken())
	if err != nil {
		return nil, err
	}
	x, err := j.packets()
	if err != nil {
		return nil, err
	}
	list := &annotatorv1.PacketList{DisplayFilter: packetFilter(q, c.host)}
	least, kind := permille(c.score), uint8(slices.Index(verdict.Types, verdict.Type(c.kind))+1)
	for i := range x.rows {
		r, frame := &x.rows[i], uint32(i)+1
		if r.score < least || kind != 0 && r.kind != kind ||
			q.GetFlow() != 0 && r.flow != q.GetFlow() || q.GetIncident() != 0 && r.incident != q.GetIncident() ||
			frame < c.frames[0] || c.frames[1] != 0 && frame > c.frames[1] ||
			q.GetClass() != "" && x.strings[r.class] != q.GetClass() ||
			!c.atEitherEnd(x, r) {
			continue
		}
		if int(list.Total) >= from && len(list.Packets) < n {
			list.Packets = append(list.Packets, x.packetAt(frame))
		}
		list.Total++
	}
	if from+len(list.Packets) < int(list.Total) {
		list.NextPageToken = strconv.Itoa(from + len(list.Packets))
	}
	return list, nil
}

// Packet returns one packet of a job that is done.
func (j *Job) Packet(frame uint32) (*annotatorv1.PacketVerdict, error) {
	x, err := j.packets()
	if err != nil {
		return nil, err
	}
	if frame < 1 || int(frame) > len(x.rows) {
		return nil, status.Errorf(codes.NotFound, "frame: there are 1 to %d", len(x.rows))
	}
	return x.packetAt(frame), nil
}

// Flow returns one conversation of a job that is done.
func (j *Job) Flow(n uint32) (*annotatorv1.FlowSummary, error) {
	x, err := j.packets()
	if err != nil {
		return nil, err
	}
	if n < 1 || int(n) > len(x.flows) || x.flows[n-1].packets == 0 {
		return nil, status.Errorf(codes.NotFound, "flow: there is no %d", n)
	}
	return x.flowAt(n), nil
}

// Flows lists conversations of a job that is done.
func (j *Job) Flows(q *annotatorv1.ListFlowsRequest) (*annotatorv1.FlowList, error) {
	c := conditions{score: q.GetMinScore(), host: q.GetHost(), port: q.GetPort()}
	if err := c.check(); err != nil {
		return nil, err
	}
	from, n, err := page(q.GetPageSize(), q.GetPageToken())
	if err != nil {
		return nil, err
	}
	x, err := j.packets()
	if err != nil {
		return nil, err
	}
	var found []uint32
	least := permille(c.score)
	for i := range x.flows {
		f := &x.flows[i]
		if f.packets == 0 || x.rows[f.best-1].score < least || !c.atEitherEnd(x, &x.rows[f.first-1]) {
			continue
		}
		found = append(found, uint32(i)+1)
	}
	slices.SortFunc(found, x.order)
	list := &annotatorv1.FlowList{Total: uint32(len(found))}
	part, next := cut(found, from, n)
	list.NextPageToken = next
	for _, number := range part {
		list.Flows = append(list.Flows, x.flowAt(number))
	}
	return list, nil
}

// Incidents lists the incidents of one job, or of all that are done.
func (s *Store) Incidents(q *annotatorv1.ListIncidentsRequest) (*annotatorv1.IncidentPage, error) {
	c := conditions{score: q.GetMinScore(), kind: q.GetType()}
	if err := c.check(); err != nil {
		return nil, err
	}
	from, n, err := page(q.GetPageSize(), q.GetPageToken())
	if err != nil {
		return nil, err
	}
	jobs := s.Jobs()
	if q.GetJob() != "" {
		j, err := s.Job(q.GetJob())
		if err != nil {
			return nil, err
		}
		if _, err := j.Incidents(); err != nil {
			return nil, err
		}
		jobs = []*Job{j}
	}
	var all []*annotatorv1.IncidentSummary
	for _, j := range jobs {
		incidents, _ := j.Incidents() // none yet
		for _, i := range incidents {
			if i.GetScorePermille() >= uint32(permille(c.score)) && (c.kind == "" || c.kind == i.GetType()) {
				all = append(all, summarized(j.id, i))
			}
		}
	}
	list := &annotatorv1.IncidentPage{Total: uint32(len(all))}
	list.Incidents, list.NextPageToken = cut(all, from, n)
	return list, nil
}

func summarized(job string, i *annotatorv1.Incident) *annotatorv1.IncidentSummary {
	return &annotatorv1.IncidentSummary{
		Job: job, Number: i.GetNumber(), Type: i.GetType(), Score: float64(i.GetScorePermille()) / 1000, Reason: i.GetReason(),
		Actors: i.GetActors(), Targets: i.GetTargets(), Services: i.GetServices(),
		ActorCount: i.GetActorCount(), TargetCount: i.GetTargetCount(), ServiceCount: i.GetServiceCount(),
		FirstFrame: uint32(i.GetFirstFrame()), LastFrame: uint32(i.GetLastFrame()), First: stamp(i.GetFirstNs()), Last: stamp(i.GetLastNs()),
		Packets: uint32(i.GetFrames()), Anomalous: uint32(i.GetAnomalous()), Flows: uint32(i.GetFlows()), DisplayFilter: i.GetFilter(),
	}
}

// Explain asks the annotator where the score of a packet comes from.
func (j *Job) Explain(ctx context.Context, frame uint32) (*annotatorv1.Explanation, error) {
	file, err := j.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	summary, err := analyze(ctx, j.store.cfg.Annotator, file, &annotatorv1.AnalyzeOptions{
		Session: j.store.session(Options{}), Verdicts: annotatorv1.Selection_SELECTION_NONE, Explain: uint64(frame),
	}, func(*annotatorv1.AnalyzeResponse) {})
	if err != nil {
		return nil, err
	}
	if summary.GetExplanation() == nil {
		return nil, status.Errorf(codes.NotFound, "frame: there is no %d", frame)
	}
	return summary.GetExplanation(), nil
}

// packetFilter returns a display filter of Wireshark that has what a query has.
// Where scores, types or classes are asked for it needs the plugin, or the
// comments of the annotated file.
func packetFilter(q *annotatorv1.ListPacketsRequest, host string) string {
	var terms []string
	add := func(format string, args ...any) { terms = append(terms, fmt.Sprintf(format, args...)) }
	if q.GetMinScore() > 0 {
		add("ai.anomaly.score >= %v", q.GetMinScore())
	}
	if q.GetType() != "" {
		add("ai.anomaly.type == %q", q.GetType())
	}
	if q.GetClass() != "" {
		add("ai.class == %q", q.GetClass())
	}
	if q.GetFlow() != 0 {
		add("ai.flow == %d", q.GetFlow())
	}
	if q.GetIncident() != 0 {
		add("ai.incident == %d", q.GetIncident())
	}
	if host != "" {
		add("%s", hostFilter(host))
	}
	if p := q.GetPort(); p != 0 {
		add("(tcp.port == %[1]d || udp.port == %[1]d || sctp.port == %[1]d)", p)
	}
	if from, to := q.GetFirstFrame(), q.GetLastFrame(); to != 0 {
		add("frame.number in {%d..%d}", max(from, 1), to)
	} else if from != 0 {
		add("frame.number >= %d", from)
	}
	return strings.Join(terms, " && ")
}

func hostFilter(host string) string {
	if strings.Contains(host, ":") {
		return "ipv6.addr == " + host
	}
	return "ip.addr == " + host
}

// flowFilter returns a display filter of Wireshark's own fields for a
// conversation.
func flowFilter(version uint8, s *annotatorv1.FlowSummary) string {
	var terms []string
	if version != 0 {
		terms = append(terms, hostFilter(s.GetSource()), hostFilter(s.GetDestination()))
	}
	switch s.GetTransport() {
	case "tcp", "udp", "sctp":
		terms = append(terms, fmt.Sprintf("%[1]s.port == %[2]d && %[1]s.port == %[3]d", s.GetTransport(), s.GetSourcePort(), s.GetDestinationPort()))
	case "icmp", "icmpv6":
		terms = append(terms, s.GetTransport())
	}
	return strings.Join(append(terms, fmt.Sprintf("frame.number in {%d..%d}", s.GetFirstFrame(), s.GetLastFrame())), " && ")
}
