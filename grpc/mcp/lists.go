package mcp

import (
	"context"
	"strconv"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// Sizes of lists, in elements.
const (
	usualIncidents, mostIncidents = 10, 50
	usualRows, mostRows           = 20, 200
)

// limit returns how many elements are asked for.
func limit(asked, usual, most uint32) uint32 {
	if asked == 0 {
		return usual
	}
	return min(asked, most)
}

type incident struct {
	Number        uint32   `json:"number"`
	Type          string   `json:"type"`
	Score         float64  `json:"score"`
	Reason        string   `json:"reason"`
	Actors        []string `json:"actors"`
	Targets       []string `json:"targets,omitempty"`
	Services      []string `json:"services,omitempty"`
	ActorCount    uint32   `json:"actor_count"`
	TargetCount   uint32   `json:"target_count"`
	ServiceCount  uint32   `json:"service_count"`
	FirstFrame    uint32   `json:"first_frame"`
	LastFrame     uint32   `json:"last_frame"`
	First         string   `json:"first"`
	Last          string   `json:"last"`
	Packets       uint32   `json:"packets"`
	Anomalous     uint32   `json:"anomalous"`
	Flows         uint32   `json:"flows"`
	DisplayFilter string   `json:"display_filter"`
}

// samples is how many hosts and services are named of each kind; the counts are
// beside.
const samples = 5

func few(list []string) []string { return list[:min(len(list), samples)] }

func incidentOf(i *annotatorv1.IncidentSummary) incident {
	return incident{
		Number: i.GetNumber(), Type: i.GetType(), Score: i.GetScore(), Reason: i.GetReason(),
		Actors: few(i.GetActors()), Targets: few(i.GetTargets()), Services: few(i.GetServices()),
		ActorCount: i.GetActorCount(), TargetCount: i.GetTargetCount(), ServiceCount: i.GetServiceCount(),
		FirstFrame: i.GetFirstFrame(), LastFrame: i.GetLastFrame(),
		First: instant(i.GetFirst().AsTime()), Last: instant(i.GetLast().AsTime()),
		Packets: i.GetPackets(), Anomalous: i.GetAnomalous(), Flows: i.GetFlows(), DisplayFilter: i.GetDisplayFilter(),
	}
}

type incidentArguments struct {
	Capture   string  `json:"capture" jsonschema:"id or path of the capture"`
	Type      string  `json:"type,omitempty" jsonschema:"only this type, such as port_scan"`
	MinScore  float64 `json:"min_score,omitempty" jsonschema:"only scores from here on, 0 to 1"`
	Limit     uint32  `json:"limit,omitempty" jsonschema:"10 if left out, at most 50"`
	PageToken string  `json:"page_token,omitempty" jsonschema:"next_page_token of the page before"`
}

type incidentList struct {
	Total         uint32     `json:"total"`
	Incidents     []incident `json:"incidents"`
	NextPageToken string     `json:"next_page_token,omitempty"`
}

func (s *server) listIncidents(ctx context.Context, _ *mcp.CallToolRequest, a incidentArguments) (*mcp.CallToolResult, *incidentList, error) {
	j, err := s.capture(ctx, a.Capture)
	if err != nil {
		return nil, nil, err
	}
	page, err := s.cfg.Store.Incidents(&annotatorv1.ListIncidentsRequest{
		Job: j.ID(), Type: a.Type, MinScore: a.MinScore, PageSize: limit(a.Limit, usualIncidents, mostIncidents), PageToken: a.PageToken,
	})
	if err != nil {
		return nil, nil, plain(err)
	}
	list := &incidentList{Total: page.GetTotal(), Incidents: []incident{}, NextPageToken: page.GetNextPageToken()}
	for _, i := range page.GetIncidents() {
		list.Incidents = append(list.Incidents, incidentOf(i))
	}
	if n := fit(list.Incidents); n < len(list.Incidents) {
		list.Incidents, list.NextPageToken = list.Incidents[:n], further(a.PageToken, n)
	}
	return nil, list, nil
}

// further returns the token of the page that begins n elements behind another.
func further(token string, n int) string {
	from, _ := strconv.Atoi(token) // the store has checked it
	return strconv.Itoa(from + n)
}

type packet struct {
	Frame       uint32  `json:"frame"`
	Time        string  `json:"time"`
	Source      string  `json:"source"`
	Destination string  `json:"destination"`
	Transport   string  `json:"transport,omitempty"`
	Length      uint32  `json:"length"`
	Class       string  `json:"class" jsonschema:"protocol by behaviour"`
	Score       float64 `json:"score"`
	Verdict     string  `json:"verdict"`
	Type        string  `json:"type,omitempty"`
	Reason      string  `json:"reason,omitempty"`
	Flow        uint32  `json:"flow,omitempty"`
	Incident    uint32  `json:"incident,omitempty"`
}

func packetOf(p *annotatorv1.PacketVerdict) packet {
	return packet{
		Frame: p.GetFrame(), Time: instant(p.GetTime().AsTime()), Transport: p.GetTransport(), Length: p.GetLength(),
		Source: endpoint(p.GetSource(), p.GetSourcePort()), Destination: endpoint(p.GetDestination(), p.GetDestinationPort()),
		Class: p.GetClass(), Score: p.GetScore(), Verdict: p.GetVerdict(), Type: p.GetType(), Reason: p.GetReason(),
		Flow: p.GetFlow(), Incident: p.GetIncident(),
	}
}

// endpoint writes address and port as Wireshark does not, so that both can be
// told apart.
func endpoint(address string, port uint32) string {
	if port == 0 {
		return address
	}
	return address + " port " + strconv.Itoa(int(port))
}

type packetArguments struct {
	Capture    string  `json:"capture" jsonschema:"id or path of the capture"`
	MinScore   float64 `json:"min_score,omitempty" jsonschema:"only scores from here on, 0 to 1"`
	Type       string  `json:"type,omitempty" jsonschema:"only this type of anomaly, such as beacon"`
	Class      string  `json:"class,omitempty" jsonschema:"only this protocol, such as dns"`
	Host       string  `json:"host,omitempty" jsonschema:"only from or to this IP address"`
	Port       uint32  `json:"port,omitempty" jsonschema:"only from or to this port"`
	Flow       uint32  `json:"flow,omitempty" jsonschema:"only of this conversation"`
	Incident   uint32  `json:"incident,omitempty" jsonschema:"only of this incident"`
	FirstFrame uint32  `json:"first_frame,omitempty"`
	LastFrame  uint32  `json:"last_frame,omitempty"`
	Limit      uint32  `json:"limit,omitempty" jsonschema:"20 if left out, at most 200"`
	PageToken  string  `json:"page_token,omitempty" jsonschema:"next_page_token of the page before"`
}

type packetList struct {
	Total         uint32   `json:"total"`
	Packets       []packet `json:"packets"`
	NextPageToken string   `json:"next_page_token,omitempty"`
	DisplayFilter string   `json:"display_filter" jsonschema:"for Wireshark with Ampulla's plugin; empty for all packets"`
}

func (s *server) listPackets(ctx context.Context, _ *mcp.CallToolRequest, a packetArguments) (*mcp.CallToolResult, *packetList, error) {
	j, err := s.capture(ctx, a.Capture)
	if err != nil {
		return nil, nil, err
	}
	page, err := j.Packets(&annotatorv1.ListPacketsRequest{
		MinScore: a.MinScore, Type: a.Type, Class: a.Class, Host: a.Host, Port: a.Port, Flow: a.Flow, Incident: a.Incident,
		FirstFrame: a.FirstFrame, LastFrame: a.LastFrame, PageSize: limit(a.Limit, usualRows, mostRows), PageToken: a.PageToken,
	})
	if err != nil {
		return nil, nil, plain(err)
	}
	list := &packetList{Total: page.GetTotal(), Packets: []packet{}, NextPageToken: page.GetNextPageToken(), DisplayFilter: page.GetDisplayFilter()}
	for _, p := range page.GetPackets() {
		list.Packets = append(list.Packets, packetOf(p))
	}
	if n := fit(list.Packets); n < len(list.Packets) {
		list.Packets, list.NextPageToken = list.Packets[:n], further(a.PageToken, n)
	}
	return nil, list, nil
}

type conversation struct {
	Flow          uint32  `json:"flow"`
	Source        string  `json:"source" jsonschema:"who sent the first packet"`
	Destination   string  `json:"destination"`
	Transport     string  `json:"transport,omitempty"`
	Class         string  `json:"class"`
	Packets       uint32  `json:"packets"`
	Bytes         float64 `json:"bytes"`
	FirstFrame    uint32  `json:"first_frame"`
	LastFrame     uint32  `json:"last_frame"`
	First         string  `json:"first"`
	Last          string  `json:"last"`
	MaxScore      float64 `json:"max_score"`
	Flagged       uint32  `json:"flagged"`
	Type          string  `json:"type,omitempty"`
	DisplayFilter string  `json:"display_filter"`
}

func conversationOf(f *annotatorv1.FlowSummary) conversation {
	return conversation{
		Flow: f.GetFlow(), Source: endpoint(f.GetSource(), f.GetSourcePort()), Destination: endpoint(f.GetDestination(), f.GetDestinationPort()),
		Transport: f.GetTransport(), Class: f.GetClass(), Packets: f.GetPackets(), Bytes: f.GetBytes(),
		FirstFrame: f.GetFirstFrame(), LastFrame: f.GetLastFrame(), First: instant(f.GetFirst().AsTime()), Last: instant(f.GetLast().AsTime()),
		MaxScore: f.GetMaxScore(), Flagged: f.GetFlagged(), Type: f.GetType(), DisplayFilter: f.GetDisplayFilter(),
	}
}

type flowArguments struct {
	Capture   string  `json:"capture" jsonschema:"id or path of the capture"`
	Host      string  `json:"host,omitempty" jsonschema:"only from or to this IP address"`
	Port      uint32  `json:"port,omitempty" jsonschema:"only from or to this port"`
	MinScore  float64 `json:"min_score,omitempty" jsonschema:"only with a packet that scores from here on, 0 to 1"`
	Limit     uint32  `json:"limit,omitempty" jsonschema:"20 if left out, at most 200"`
	PageToken string  `json:"page_token,omitempty" jsonschema:"next_page_token of the page before"`
}

type flowList struct {
	Total         uint32         `json:"total"`
	Flows         []conversation `json:"flows"`
	NextPageToken string         `json:"next_page_token,omitempty"`
}

func (s *server) listFlows(ctx context.Context, _ *mcp.CallToolRequest, a flowArguments) (*mcp.CallToolResult, *flowList, error) {
	j, err := s.capture(ctx, a.Capture)
	if err != nil {
		return nil, nil, err
	}
	page, err := j.Flows(&annotatorv1.ListFlowsRequest{
		Host: a.Host, Port: a.Port, MinScore: a.MinScore, PageSize: limit(a.Limit, usualRows, mostRows), PageToken: a.PageToken,
	})
	if err != nil {
		return nil, nil, plain(err)
	}
	list := &flowList{Total: page.GetTotal(), Flows: []conversation{}, NextPageToken: page.GetNextPageToken()}
	for _, f := range page.GetFlows() {
		list.Flows = append(list.Flows, conversationOf(f))
	}
	if n := fit(list.Flows); n < len(list.Flows) {
		list.Flows, list.NextPageToken = list.Flows[:n], further(a.PageToken, n)
	}
	return nil, list, nil
}
