package server

import (
	"context"
	"errors"
	"os/user"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"ampulla/annotator/feedback"
	"ampulla/annotator/rule"
	"ampulla/annotator/verdict"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// AddFeedback adds a rule.
func (s *Server) AddFeedback(ctx context.Context, r *annotatorv1.AddFeedbackRequest) (*annotatorv1.FeedbackRule, error) {
	file, err := s.feedback()
	if err != nil {
		return nil, err
	}
	said, err := ruleOf(r)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if u, err := user.Current(); said.Who == "" && checkLocal(ctx, "") == nil && err == nil {
		said.Who = u.Username
	}
	if said, err = file.Add(said); err != nil {
		return nil, feedbackError(err)
	}
	return ruleMessage(&said), nil
}

// ListFeedback lists the rules.
func (s *Server) ListFeedback(context.Context, *annotatorv1.ListFeedbackRequest) (*annotatorv1.FeedbackList, error) {
	file, err := s.feedback()
	if err != nil {
		return nil, err
	}
	log, err := file.Load()
	if err != nil {
		return nil, feedbackError(err)
	}
	list := &annotatorv1.FeedbackList{}
	for i := range log.Rules {
		list.Rules = append(list.Rules, ruleMessage(&log.Rules[i]))
	}
	return list, nil
}

// UndoFeedback takes a rule back.
func (s *Server) UndoFeedback(_ context.Context, r *annotatorv1.FeedbackId) (*annotatorv1.FeedbackRule, error) {
	file, err := s.feedback()
	if err != nil {
		return nil, err
	}
	undone, err := file.Undo(r.GetId())
	if err != nil {
		return nil, feedbackError(err)
	}
	return ruleMessage(&undone), nil
}

// feedback returns the file, or that there is none.
func (s *Server) feedback() (*feedback.File, error) {
	if s.cfg.Feedback == nil {
		return nil, status.Error(codes.FailedPrecondition, "this annotator goes by no feedback (--no-feedback)")
	}
	return s.cfg.Feedback, nil
}

// feedbackError says what is wrong with the rules.
func feedbackError(err error) error {
	code := codes.FailedPrecondition
	switch {
	case errors.Is(err, feedback.ErrNoRule):
		code = codes.NotFound
	case errors.Is(err, feedback.ErrFull):
		code = codes.ResourceExhausted
	}
	return status.Error(code, err.Error())
}

// rules returns the rules that a session goes by at its beginning; nil for none.
func (s *Server) rules(which annotatorv1.Rules) *rule.Set {
	if s.cfg.Feedback == nil || which == annotatorv1.Rules_RULES_NONE {
		return nil
	}
	return s.cfg.Feedback.Rules()
}

// ruleOf reads and checks what somebody says.
func ruleOf(r *annotatorv1.AddFeedbackRequest) (said rule.Rule, err error) {
	said = rule.Rule{Says: rule.Opinion(r.GetSays()), Who: r.GetWho(), Why: r.GetWhy()}
	scope := r.GetScope()
	if said.Hosts, err = rule.ParseHosts(scope.GetHosts()); err != nil {
		return said, err
	}
	if scope.GetService() != "" {
		if said.Service, err = rule.ParseService(scope.GetService()); err != nil {
			return said, err
		}
	}
	said.Type = verdict.Type(scope.GetType())
	return said, said.Check()
}

// ruleMessage puts a rule into a message.
func ruleMessage(r *rule.Rule) *annotatorv1.FeedbackRule {
	m := &annotatorv1.FeedbackRule{Id: r.ID, Says: string(r.Says), Scope: scopeMessage(&r.Scope), Who: r.Who, Why: r.Why}
	if !r.When.IsZero() {
		m.When = timestamppb.New(r.When)
	}
	return m
}

// scopeMessage puts a scope into a message.
func scopeMessage(s *rule.Scope) *annotatorv1.Scope {
	return &annotatorv1.Scope{Hosts: s.HostNames(), Service: s.Service.String(), Type: string(s.Type)}
}
