package mcp

import (
	"context"
	"fmt"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"ampulla/grpc/analysis"
	annotatorv1 "ampulla/proto/annotator/v1"
)

type explainArguments struct {
	Capture string `json:"capture" jsonschema:"id or path of the capture"`
	Frame   uint32 `json:"frame" jsonschema:"Wireshark's frame number"`
}

type explanation struct {
	Packet        packet        `json:"packet"`
	Flow          *conversation `json:"conversation,omitempty"`
	Incident      *incident     `json:"incident,omitempty"`
	Features      []feature     `json:"features" jsonschema:"what the anomaly model saw, the most unusual first; none if it was not asked"`
	MoreFeatures  int           `json:"more_features,omitempty"`
	Scope         scope         `json:"scope" jsonschema:"all that feedback about this packet can name"`
	Meaning       string        `json:"meaning"`
	DisplayFilter string        `json:"display_filter"`
}

type feature struct {
	What   string `json:"what"`
	Value  string `json:"value"`
	Median string `json:"median" jsonschema:"of benign packets"`
	Rare   string `json:"rare" jsonschema:"99.9 % of benign packets have at most that"`
}

const topFeatures = 8

func (s *server) explainPacket(ctx context.Context, _ *mcp.CallToolRequest, a explainArguments) (*mcp.CallToolResult, *explanation, error) {
	j, err := s.capture(ctx, a.Capture)
	if err != nil {
		return nil, nil, err
	}
	p, err := j.Packet(a.Frame)
	if err != nil {
		return nil, nil, plain(err)
	}
	models, err := j.Explain(ctx, a.Frame)
	if err != nil {
		return nil, nil, plain(err)
	}
	e := &explanation{Packet: packetOf(p), Features: []feature{}, Scope: scopeOf(models.GetScope()), Meaning: meaning(p), DisplayFilter: fmt.Sprintf("frame.number == %d", a.Frame)}
	for _, f := range models.GetFeatures() {
		if len(e.Features) == topFeatures || f.GetWords() == "" {
			e.MoreFeatures++
			continue
		}
		e.Features = append(e.Features, feature{f.GetWords(), f.GetValue(), f.GetMedian(), f.GetRare()})
	}
	if flow, err := j.Flow(p.GetFlow()); err == nil {
		c := conversationOf(flow)
		e.Flow = &c
	}
	if p.GetIncident() != 0 {
		incidents, err := s.cfg.Store.Incidents(&annotatorv1.ListIncidentsRequest{Job: j.ID(), PageSize: analysis.MaxPage})
		if err != nil {
			return nil, nil, plain(err)
		}
		for _, i := range incidents.GetIncidents() {
			if i.GetNumber() == p.GetIncident() {
				found := incidentOf(i)
				e.Incident = &found
			}
		}
	}
	return nil, e, nil
}

// meaning says in words what a verdict is worth.
func meaning(p *annotatorv1.PacketVerdict) string {
	switch {
	case p.GetVerdict() == "learning":
		return "too little is known of this host yet to say"
	case p.GetType() == "outlier":
		return "a hint, not a finding: rare in ordinary traffic, or a sign of an attack without a type of its own; the reason says which"
	case p.GetVerdict() == "anomalous":
		return "a detector's threshold was passed; the reason has the evidence"
	case p.GetVerdict() == "suspicious":
		return "evidence below the threshold of a detector, or traffic as rare as 1 in 75"
	}
	return "ordinary"
}

type annotateArguments struct {
	Capture string `json:"capture" jsonschema:"id or path of the capture"`
	Output  string `json:"output" jsonschema:"path of the .pcapng file to write, which must not exist yet"`
}

type annotated struct {
	Output        string `json:"output"`
	Packets       uint32 `json:"packets"`
	Commented     uint32 `json:"flagged"`
	DisplayFilter string `json:"display_filter" jsonschema:"for any Wireshark"`
}

func (s *server) annotateCapture(ctx context.Context, _ *mcp.CallToolRequest, a annotateArguments) (*mcp.CallToolResult, *annotated, error) {
	j, err := s.capture(ctx, a.Capture)
	if err != nil {
		return nil, nil, err
	}
	if err := j.Save(a.Output); err != nil {
		return nil, nil, plain(err)
	}
	state := j.State()
	return nil, &annotated{a.Output, state.GetPackets(), state.GetFlagged(), state.GetDisplayFilter()}, nil
}

type noArguments struct{}

type networkInterface struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Addresses   []string `json:"addresses"`
	Loopback    bool     `json:"loopback"`
}

type interfaceList struct {
	Interfaces []networkInterface `json:"interfaces"`
}

func (s *server) listInterfaces(ctx context.Context, _ *mcp.CallToolRequest, _ noArguments) (*mcp.CallToolResult, *interfaceList, error) {
	interfaces, err := s.cfg.Store.Interfaces(ctx)
	if err != nil {
		return nil, nil, plain(err)
	}
	list := &interfaceList{Interfaces: []networkInterface{}}
	for _, i := range interfaces {
		addresses := i.GetAddresses()
		if addresses == nil {
			addresses = []string{}
		}
		list.Interfaces = append(list.Interfaces, networkInterface{i.GetName(), i.GetDescription(), addresses, i.GetLoopback()})
	}
	return nil, list, nil
}

type captureArguments struct {
	Interfaces []string `json:"interfaces" jsonschema:"names from list_interfaces, 1 to 16"`
	Filter     string   `json:"filter,omitempty" jsonschema:"capture filter of libpcap, such as: not port 22"`
	MaxSeconds uint32   `json:"max_seconds,omitempty" jsonschema:"60 if left out, at most 3600"`
	MaxPackets uint32   `json:"max_packets,omitempty" jsonschema:"no limit if left out"`
}

// beginning is how long a capture may take to begin.
const beginning = 10 * time.Second

func (s *server) startCapture(ctx context.Context, _ *mcp.CallToolRequest, a captureArguments) (*mcp.CallToolResult, *overview, error) {
	j, err := s.cfg.Store.Record(analysis.Recording{
		Interfaces: a.Interfaces, Filter: a.Filter, MaxSeconds: limit(a.MaxSeconds, 60, 3600), MaxPackets: a.MaxPackets,
	})
	if err != nil {
		return nil, nil, plain(err)
	}
	if err := j.Begun(ctx, beginning); err != nil {
		_ = s.cfg.Store.Delete(j.ID())
		return nil, nil, plain(err)
	}
	o, err := s.overview(j)
	return nil, o, err
}

type statusArguments struct {
	Capture     string `json:"capture" jsonschema:"id of the capture"`
	WaitSeconds uint32 `json:"wait_seconds,omitempty" jsonschema:"wait for the end for up to so long, at most 45"`
}

func (s *server) captureStatus(ctx context.Context, _ *mcp.CallToolRequest, a statusArguments) (*mcp.CallToolResult, *overview, error) {
	j, err := s.cfg.Store.Job(a.Capture)
	if err != nil {
		return nil, nil, plain(err)
	}
	j.Wait(ctx, min(time.Duration(a.WaitSeconds)*time.Second, patience))
	o, err := s.overview(j)
	return nil, o, err
}

type stopArguments struct {
	Capture string `json:"capture" jsonschema:"id of the capture"`
}

func (s *server) stopCapture(ctx context.Context, _ *mcp.CallToolRequest, a stopArguments) (*mcp.CallToolResult, *overview, error) {
	j, err := s.cfg.Store.Job(a.Capture)
	if err != nil {
		return nil, nil, plain(err)
	}
	j.Stop()
	j.Wait(ctx, beginning)
	o, err := s.overview(j)
	return nil, o, err
}
