package mcp

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"ampulla/grpc/analysis"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// reportScheme and reportEnd are around the id of a capture.
const (
	reportScheme = "ampulla://captures/"
	reportEnd    = "/report.md"
)

func (s *server) addResources(m *mcp.Server) {
	m.AddResourceTemplate(&mcp.ResourceTemplate{
		Name: "report", Title: "Report of a capture", MIMEType: "text/markdown",
		Description: "What a capture holds, in words: overview and incidents with their evidence, for people to read.",
		URITemplate: reportScheme + "{capture}" + reportEnd,
	}, s.report)
}

// report writes a capture's incidents down.
func (s *server) report(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	uri := r.Params.URI
	id, _ := strings.CutPrefix(uri, reportScheme)
	j, err := s.cfg.Store.Job(strings.TrimSuffix(id, reportEnd))
	if err != nil {
		return nil, mcp.ResourceNotFoundError(uri)
	}
	list, err := s.cfg.Store.Incidents(&annotatorv1.ListIncidentsRequest{Job: j.ID(), PageSize: analysis.MaxPage})
	if err != nil {
		return nil, plain(err)
	}
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{
		{URI: uri, MIMEType: "text/markdown", Text: markdown(j.State(), list)},
	}}, nil
}

func markdown(state *annotatorv1.Job, list *annotatorv1.IncidentPage) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%d packets, %.0f bytes, %d conversations", escape(state.GetSource()), state.GetPackets(), state.GetBytes(), state.GetFlows())
	if state.GetFirst() != nil {
		fmt.Fprintf(&b, ", %s to %s", instant(state.GetFirst().AsTime()), instant(state.GetLast().AsTime()))
	}
	fmt.Fprintf(&b, ". %d packets are flagged, in %d incidents.\n", state.GetFlagged(), list.GetTotal())
	slices.SortStableFunc(list.Incidents, func(a, b *annotatorv1.IncidentSummary) int { return severity(b, a) })
	for n, i := range list.GetIncidents() {
		if b.Len() > budget {
			fmt.Fprintf(&b, "\n%d more incidents are left out here.\n", int(list.GetTotal())-n)
			break
		}
		fmt.Fprintf(&b, "\n## Incident %d: %s, score %.2f\n\n%s\n\n", i.GetNumber(), i.GetType(), i.GetScore(), escape(i.GetReason()))
		fmt.Fprintf(&b, "- who: %s (%d)\n- whom: %s (%d)\n", strings.Join(few(i.GetActors()), ", "), i.GetActorCount(), strings.Join(few(i.GetTargets()), ", "), i.GetTargetCount())
		fmt.Fprintf(&b, "- frames %d to %d, %d packets, %d anomalous\n- in Wireshark: `%s`\n", i.GetFirstFrame(), i.GetLastFrame(), i.GetPackets(), i.GetAnomalous(), i.GetDisplayFilter())
	}
	return b.String()
}

// escape keeps names from the network from becoming markup.
func escape(s string) string {
	return strings.NewReplacer("<", "&lt;", "`", "'", "[", "\\[", "*", "\\*", "\n", " ").Replace(s)
}

// prompts are the common investigations.
var prompts = []struct {
	name, title, description, argument, about, text string
}{
	{"investigate_capture", "Investigate a capture", "What happened in a capture, with evidence.", "path", "path of the capture",
		`Investigate the capture %q.
1. open_capture, and read the overview.
2. list_incidents; for each severe one list_packets with its number, and explain_packet for the first frame.
3. Look at what the actors did besides: list_flows with their address.
Report: what happened, who, whom, when; how sure it is and what speaks against it; frame numbers and a display filter for each statement; what to do next. Outliers are hints, not findings.`},
	{"check_host", "Check a host", "What one host did in a capture.", "path_and_host", "path of the capture and address of the host",
		`Find out what this host did: %q.
open_capture, then list_flows and list_packets with the host. Tell which services it used and offered, what is unusual about it, and whether an incident involves it. Give frame numbers and display filters.`},
	{"watch_network", "Watch the network", "Capture for a minute and look for trouble.", "interface", "name of the interface",
		`Capture from the interface %q for 60 seconds with start_capture (ask me first), wait with capture_status, then look at the incidents as in an investigation. Say plainly if nothing stands out.`},
}

func addPrompts(m *mcp.Server) {
	for _, p := range prompts {
		m.AddPrompt(&mcp.Prompt{
			Name: p.name, Title: p.title, Description: p.description,
			Arguments: []*mcp.PromptArgument{{Name: p.argument, Description: p.about, Required: true}},
		}, func(_ context.Context, r *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			value := r.Params.Arguments[p.argument]
			if value == "" || len(value) > 4096 {
				return nil, fmt.Errorf("%s: %s", p.argument, p.about)
			}
			return &mcp.GetPromptResult{Description: p.description, Messages: []*mcp.PromptMessage{
				{Role: "user", Content: &mcp.TextContent{Text: fmt.Sprintf(p.text, value)}},
			}}, nil
		})
	}
}
