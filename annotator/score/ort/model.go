//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"ampulla/annotator/score"

	onnx "github.com/yalue/onnxruntime_go"
)

// maxBatch is how many rows one run of a model takes; more are split. It bounds
// the memory of a run.
const maxBatch = 256

// model is one loaded ONNX graph. It is safe for concurrent use: the runtime's
// sessions are, and each caller takes buffers of its own.
type model struct {
	name    string
	session *onnx.DynamicAdvancedSession
	in, out int // values a row
	mu      sync.Mutex
	free    []*buffers
}

// buffers are the memory of one run at a time, with a binding for each batch
// size that was needed so far.
type buffers struct {
	in, out  []float32
	bindings [maxBatch + 1]*binding
}

// binding ties the first rows of buffers to a session.
type binding struct {
	io      *onnx.IoBinding
	in, out *onnx.Tensor[float32]
}

// openModel loads a model and runs it once, which tells whether it takes rows
// of as many features as the manifest names and returns rows of out values.
func openModel(models fs.FS, description score.Model, out int) (*model, error) {
	data, err := description.Read(models)
	if err != nil {
		return nil, err
	}
	m := &model{name: description.File, in: len(description.Features), out: out}
	options, err := sessionOptions()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	defer options.Destroy()
	m.session, err = onnx.NewDynamicAdvancedSessionWithONNXData(data, []string{score.Input}, []string{score.Output}, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	if err := m.run(make([]float32, m.in), 1, func(int, []float32) {}); err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// sessionOptions asks for one thread, so that sums are always formed in the
// same order, for memory that is given back rather than kept in an arena, and for
// no optimisation: the graphs are one operator each.
func sessionOptions() (*onnx.SessionOptions, error) {
	options, err := onnx.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		options.SetIntraOpNumThreads(1),
		options.SetInterOpNumThreads(1),
		options.SetExecutionMode(onnx.ExecutionModeSequential),
		options.SetGraphOptimizationLevel(onnx.GraphOptimizationLevelDisableAll),
		options.SetCpuMemArena(false),
		options.SetMemPattern(false),
	)
	if err != nil {
		return nil, errors.Join(err, options.Destroy())
	}
	return options, nil
}

// run puts n rows through the model and calls each with every row's number and
// output, which is valid during the call only.
func (m *model) run(rows []float32, n int, each func(i int, out []float32)) error {
	b := m.acquire()
	defer m.release(b)
	for from := 0; from < n; from += maxBatch {
		count := min(n-from, maxBatch)
		copy(b.in, rows[from*m.in:(from+count)*m.in])
		bound, err := m.bind(b, count)
		if err == nil {
			err = m.session.RunWithBinding(bound.io)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		for i := range count {
			each(from+i, b.out[i*m.out:(i+1)*m.out])
		}
	}
	return nil
}

func (m *model) acquire() *buffers {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := len(m.free) - 1; last >= 0 {
		b := m.free[last]
		m.free = m.free[:last]
		return b
	}
	return &buffers{in: make([]float32, maxBatch*m.in), out: make([]float32, maxBatch*m.out)}
}

func (m *model) release(b *buffers) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, b)
}

// bind returns the binding of a batch of n rows, made at its first use.
func (m *model) bind(b *buffers, n int) (*binding, error) {
	if b.bindings[n] != nil {
		return b.bindings[n], nil
	}
	bound := new(binding)
	var err error
	if bound.in, err = onnx.NewTensor(onnx.NewShape(int64(n), int64(m.in)), b.in); err != nil {
		return nil, err
	}
	if bound.out, err = onnx.NewTensor(onnx.NewShape(int64(n), int64(m.out)), b.out); err != nil {
		return nil, errors.Join(err, bound.close())
	}
	if bound.io, err = m.session.CreateIoBinding(); err != nil {
		return nil, errors.Join(err, bound.close())
	}
	if err = errors.Join(bound.io.BindInput(score.Input, bound.in), bound.io.BindOutput(score.Output, bound.out)); err != nil {
		return nil, errors.Join(err, bound.close())
	}
	b.bindings[n] = bound
	return bound, nil
}

func (b *binding) close() error {
	var err error
	if b.io != nil {
		err = b.io.Destroy()
	}
	if b.out != nil {
		err = errors.Join(err, b.out.Destroy())
	}
	if b.in != nil {
		err = errors.Join(err, b.in.Destroy())
	}
	return err
}

// close frees the model; nothing may be running.
func (m *model) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	for _, b := range m.free {
		for _, bound := range b.bindings {
			if bound != nil {
				err = errors.Join(err, bound.close())
			}
		}
	}
	m.free = nil
	return errors.Join(err, m.session.Destroy())
}
