package gateway

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ampulla/grpc/analysis"
	annotatorv1 "ampulla/proto/annotator/v1"
)

// service is the unary part of the contract.
type service struct {
	annotatorv1.UnimplementedGatewayServer
	cfg Config
}

const (
	maxWait = 60 // seconds
	// beginning is how long to wait for a capture to begin, so that what is wrong
	// with it can be answered.
	beginning = 10 * time.Second
)

func checkWait(seconds uint32) error {
	if seconds > maxWait {
		return status.Errorf(codes.InvalidArgument, "wait_seconds: %d is more than %d", seconds, maxWait)
	}
	return nil
}

func waitFor(ctx context.Context, j *analysis.Job, seconds uint32) *annotatorv1.Job {
	return j.Wait(ctx, time.Duration(seconds)*time.Second)
}

// StartAnalysis analyses a capture that is named.
func (s *service) StartAnalysis(ctx context.Context, r *annotatorv1.AnalysisRequest) (*annotatorv1.Job, error) {
	if err := checkWait(r.GetWaitSeconds()); err != nil {
		return nil, err
	}
	j, err := s.cfg.Store.Analyze(r.GetPath(), optionsOf(r))
	if err != nil {
		return nil, err
	}
	return waitFor(ctx, j, r.GetWaitSeconds()), nil
}

// optionsOf returns how a request wants a capture judged.
func optionsOf(r *annotatorv1.AnalysisRequest) analysis.Options {
	return analysis.Options{
		Threshold: r.Threshold, AlarmsPerHour: r.GetAlarmsPerHour(), Comments: r.GetComments(), Hindsight: r.GetHindsight(),
	}
}

// StartRecording captures. What is wrong from the beginning is an error, and
// leaves no job behind.
func (s *service) StartRecording(ctx context.Context, r *annotatorv1.RecordingRequest) (*annotatorv1.Job, error) {
	if err := checkWait(r.GetWaitSeconds()); err != nil {
		return nil, err
	}
	j, err := s.cfg.Store.Record(analysis.Recording{
		Options:    analysis.Options{Threshold: r.Threshold, Comments: r.GetComments(), AlarmsPerHour: r.GetAlarmsPerHour()},
		Interfaces: r.GetInterfaces(), Filter: r.GetFilter(), SnapLength: r.GetSnapLength(),
		MaxPackets: r.GetMaxPackets(), MaxMegabytes: r.GetMaxMegabytes(), MaxSeconds: r.GetMaxSeconds(),
	})
	if err != nil {
		return nil, err
	}
	if err := j.Begun(ctx, beginning); err != nil {
		_ = s.cfg.Store.Delete(j.ID())
		return nil, err
	}
	return waitFor(ctx, j, r.GetWaitSeconds()), nil
}

// ListJobs lists the jobs.
func (s *service) ListJobs(context.Context, *annotatorv1.ListJobsRequest) (*annotatorv1.JobList, error) {
	list := new(annotatorv1.JobList)
	for _, j := range s.cfg.Store.Jobs() {
		list.Jobs = append(list.Jobs, j.State())
	}
	return list, nil
}

// GetJob returns the state of a job.
func (s *service) GetJob(ctx context.Context, r *annotatorv1.GetJobRequest) (*annotatorv1.Job, error) {
	if err := checkWait(r.GetWaitSeconds()); err != nil {
		return nil, err
	}
	j, err := s.cfg.Store.Job(r.GetId())
	if err != nil {
		return nil, err
	}
	return waitFor(ctx, j, r.GetWaitSeconds()), nil
}

// StopJob ends a job.
func (s *service) StopJob(_ context.Context, r *annotatorv1.JobRequest) (*annotatorv1.Job, error) {
	j, err := s.cfg.Store.Job(r.GetId())
	if err != nil {
		return nil, err
	}
	j.Stop()
	return j.State(), nil
}

// DeleteJob cancels and forgets a job.
func (s *service) DeleteJob(_ context.Context, r *annotatorv1.JobRequest) (*annotatorv1.DeleteJobResponse, error) {
	return &annotatorv1.DeleteJobResponse{}, s.cfg.Store.Delete(r.GetId())
}

// ListPackets lists packets of a job.
func (s *service) ListPackets(_ context.Context, r *annotatorv1.ListPacketsRequest) (*annotatorv1.PacketList, error) {
	j, err := s.cfg.Store.Job(r.GetId())
	if err != nil {
		return nil, err
	}
	return j.Packets(r)
}

// ListFlows lists conversations of a job.
func (s *service) ListFlows(_ context.Context, r *annotatorv1.ListFlowsRequest) (*annotatorv1.FlowList, error) {
	j, err := s.cfg.Store.Job(r.GetId())
	if err != nil {
		return nil, err
	}
	return j.Flows(r)
}

// ListIncidents lists incidents.
func (s *service) ListIncidents(_ context.Context, r *annotatorv1.ListIncidentsRequest) (*annotatorv1.IncidentPage, error) {
	return s.cfg.Store.Incidents(r)
}

// ListCaptureInterfaces lists what can be captured from.
func (s *service) ListCaptureInterfaces(ctx context.Context, _ *annotatorv1.ListCaptureInterfacesRequest) (*annotatorv1.CaptureInterfaceList, error) {
	interfaces, err := s.cfg.Store.Interfaces(ctx)
	if err != nil {
		return nil, err
	}
	list := new(annotatorv1.CaptureInterfaceList)
	for _, i := range interfaces {
		list.Interfaces = append(list.Interfaces, &annotatorv1.CaptureInterface{
			Name: i.GetName(), Description: i.GetDescription(), Addresses: i.GetAddresses(), Loopback: i.GetLoopback(),
		})
	}
	return list, nil
}

// AddFeedback keeps what somebody says of verdicts. Callers over HTTP are known by
// their token only, which is the same for all.
func (s *service) AddFeedback(ctx context.Context, r *annotatorv1.AddFeedbackRequest) (*annotatorv1.FeedbackRule, error) {
	if r.GetWho() == "" {
		r.Who = "REST"
	}
	return s.cfg.Annotator.AddFeedback(ctx, r)
}

// ListFeedback lists the rules of feedback.
func (s *service) ListFeedback(ctx context.Context, r *annotatorv1.ListFeedbackRequest) (*annotatorv1.FeedbackList, error) {
	return s.cfg.Annotator.ListFeedback(ctx, r)
}

// UndoFeedback takes a rule of feedback back.
func (s *service) UndoFeedback(ctx context.Context, r *annotatorv1.FeedbackId) (*annotatorv1.FeedbackRule, error) {
	return s.cfg.Annotator.UndoFeedback(ctx, r)
}

// ListModels tells the models.
func (s *service) ListModels(ctx context.Context, _ *annotatorv1.ListModelsRequest) (*annotatorv1.ModelList, error) {
	info, err := s.cfg.Annotator.GetInfo(ctx, &annotatorv1.GetInfoRequest{})
	if err != nil {
		return nil, err
	}
	return &annotatorv1.ModelList{Version: info.GetVersion(), Model: info.GetModel(), Models: []*annotatorv1.Model{
		{Name: "classifier", Sha256: info.GetClassifierSha256(), Classes: info.GetClasses()},
		{Name: "anomaly", Sha256: info.GetAnomalySha256()},
	}, Baseline: info.GetBaseline()}, nil
}
