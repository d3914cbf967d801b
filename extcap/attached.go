package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"ampulla/annotator/verdict"
	"ampulla/extcap/bridge"
	"ampulla/extcap/toolbar"
	"ampulla/grpc/client"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// answering is how long the annotator may take for what people ask it by the
// toolbar.
const answering = 5 * time.Second

// attached is a capture as the toolbar controls it.
type attached struct {
	*bridge.Bridge
	conn       *client.Conn
	noFeedback bool // the capture goes by none

	mu        sync.Mutex
	incidents []verdict.Incident // as the toolbar shows them
}

// Flagged returns how many frames are flagged so far.
func (a *attached) Flagged() uint64 { return a.Stats().Flagged }

// Unjudged returns how many frames have no verdict so far.
func (a *attached) Unjudged() uint64 { return a.Stats().Unjudged() }

// Report returns what happened so far, and how to get all of it.
func (a *attached) Report() string {
	return a.Bridge.Report() + "\n\nOnce saved, all of it on a page: ampulla report FILE -o FILE.html"
}

// Incidents returns the incidents whose packets have a host in common.
func (a *attached) Incidents() []toolbar.Incident {
	all := a.Bridge.Incidents(answering)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.incidents = all
	var list []toolbar.Incident
	for i := range all {
		hosts, service := all[i].Common()
		if len(hosts) == 0 {
			continue
		}
		words := fmt.Sprintf("%d: %s, %s", all[i].Number, all[i].Type.Words(), strings.Join(hosts, " to "))
		if service != "" {
			words += ", " + service
		}
		list = append(list, toolbar.Incident{Number: all[i].Number, Words: words})
	}
	return list
}

// Say has the annotator keep what somebody says of an incident: what is normal is
// so for findings of that type, what is bad whatever is found.
func (a *attached) Say(number uint32, normal bool) (string, error) {
	if a.noFeedback {
		return "", errors.New("this capture goes by no feedback (nofeedback)")
	}
	a.mu.Lock()
	i := slices.IndexFunc(a.incidents, func(i verdict.Incident) bool { return i.Number == number })
	if i < 0 {
		a.mu.Unlock()
		return "", errors.New("this incident is not known any more")
	}
	incident := a.incidents[i]
	a.mu.Unlock()
	said := &annotatorv1.AddFeedbackRequest{Says: "bad", Scope: &annotatorv1.Scope{}}
	said.Scope.Hosts, said.Scope.Service = incident.Common()
	if normal {
		said.Says, said.Scope.Type = "normal", string(incident.Type)
	}
	ctx, cancel := context.WithTimeout(context.Background(), answering)
	defer cancel()
	r, err := a.conn.AddFeedback(ctx, said)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Rule %d, %s: %s. It holds from now on; ampulla baseline feedback undo %d takes it back.",
		r.GetId(), r.GetSays(), client.ScopeWords(r.GetScope()), r.GetId()), nil
}
