package mcp

import (
	"context"
	"slices"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	annotatorv1 "ampulla/proto/annotator/v1"
)

// assistant is who says so: nobody knows whether the person that it names did.
const assistant = "assistant"

type scope struct {
	Hosts   []string `json:"hosts,omitempty" jsonschema:"one address or network that sends or receives, or two that talk to each other"`
	Service string   `json:"service,omitempty" jsonschema:"what is called, such as tcp/22"`
	Type    string   `json:"type,omitempty" jsonschema:"type of the verdict, such as port_scan"`
}

func scopeOf(s *annotatorv1.Scope) scope { return scope{s.GetHosts(), s.GetService(), s.GetType()} }

type feedbackArguments struct {
	Says  string `json:"says" jsonschema:"normal: need not be flagged; or bad: has to be"`
	Scope scope  `json:"scope" jsonschema:"what it is about: packets of which all that is given is true; as narrow as it can be. explain_packet and list_incidents have what to put here"`
	Who   string `json:"who,omitempty" jsonschema:"name of the person who said so"`
	Why   string `json:"why" jsonschema:"their reason, for whoever reviews the rule"`
}

type feedbackRule struct {
	ID    uint32 `json:"id"`
	Says  string `json:"says"`
	Scope scope  `json:"scope"`
	Who   string `json:"who,omitempty"`
	When  string `json:"when,omitempty"`
	Why   string `json:"why,omitempty"`
}

func feedbackRuleOf(r *annotatorv1.FeedbackRule) feedbackRule {
	rule := feedbackRule{ID: r.GetId(), Says: r.GetSays(), Scope: scopeOf(r.GetScope()), Who: r.GetWho(), Why: r.GetWhy()}
	if r.GetWhen() != nil {
		rule.When = instant(r.GetWhen().AsTime())
	}
	return rule
}

type feedbackAnswer struct {
	Rule feedbackRule `json:"rule"`
	Next string       `json:"next"`
}

// seen is how the effect of feedback is seen.
const seen = "open_capture judges captures again, by the rules as they are now"

func (s *server) giveFeedback(ctx context.Context, _ *mcp.CallToolRequest, a feedbackArguments) (*mcp.CallToolResult, *feedbackAnswer, error) {
	said := &annotatorv1.AddFeedbackRequest{
		Says: a.Says, Scope: &annotatorv1.Scope{Hosts: a.Scope.Hosts, Service: a.Scope.Service, Type: a.Scope.Type}, Who: a.Who, Why: a.Why,
	}
	if said.Who != "" {
		said.Who += ", by "
	}
	said.Who += assistant
	r, err := s.cfg.Store.Feedback(ctx, said)
	if err != nil {
		return nil, nil, plain(err)
	}
	return nil, &feedbackAnswer{feedbackRuleOf(r), seen}, nil
}

type undoArguments struct {
	ID uint32 `json:"id" jsonschema:"number of the rule"`
}

func (s *server) undoFeedback(ctx context.Context, _ *mcp.CallToolRequest, a undoArguments) (*mcp.CallToolResult, *feedbackAnswer, error) {
	r, err := s.cfg.Store.Undo(ctx, a.ID)
	if err != nil {
		return nil, nil, plain(err)
	}
	return nil, &feedbackAnswer{feedbackRuleOf(r), seen}, nil
}

type rulesArguments struct {
	Before uint32 `json:"before,omitempty" jsonschema:"only rules with lower numbers: next_before of the page before"`
	Limit  uint32 `json:"limit,omitempty" jsonschema:"20 if left out, at most 200; fewer if they are long"`
}

type ruleList struct {
	Total      int            `json:"total"`
	Rules      []feedbackRule `json:"rules" jsonschema:"the newest first"`
	NextBefore uint32         `json:"next_before,omitempty"`
}

func (s *server) listFeedback(ctx context.Context, _ *mcp.CallToolRequest, a rulesArguments) (*mcp.CallToolResult, *ruleList, error) {
	all, err := s.cfg.Store.Rules(ctx)
	if err != nil {
		return nil, nil, plain(err)
	}
	list := &ruleList{Total: len(all.GetRules()), Rules: []feedbackRule{}}
	more := false
	for _, r := range slices.Backward(all.GetRules()) {
		if a.Before > 0 && r.GetId() >= a.Before {
			continue
		}
		if more = len(list.Rules) == int(limit(a.Limit, usualRows, mostRows)); more {
			break
		}
		list.Rules = append(list.Rules, feedbackRuleOf(r))
	}
	if n := fit(list.Rules); n < len(list.Rules) {
		list.Rules, more = list.Rules[:n], true
	}
	if more {
		list.NextBefore = list.Rules[len(list.Rules)-1].ID
	}
	return nil, list, nil
}
