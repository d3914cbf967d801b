package bridge

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// lumps reads from r in pieces of random size.
type lumps struct {
	r      io.Reader
	random *rand.Rand
	err    error // in place of io.EOF
}

func (l lumps) Read(p []byte) (int, error) {
	n, err := l.r.Read(p[:min(len(p), 1+l.random.IntN(chunkLen/3))])
	if err == io.EOF && l.err != nil {
		err = l.err
	}
	return n, err
}

func TestQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 5*chunkLen+17)
	for i := range want {
		want[i] = byte(random.Uint32())
	}
	broken := errors.New("broken")
	for _, max := range []int{0, chunkLen, 100 * chunkLen} {
		q := newQueue(max)
		go q.fill(lumps{bytes.NewReader(want), random, broken})
		got, err := io.ReadAll(lumps{r: q, random: rand.New(rand.NewPCG(3, 4))})
		if !errors.Is(err, broken) || !bytes.Equal(got, want) {
			t.Errorf("max %d: %d of %d bytes, %v", max, len(got), len(want), err)
		}
		if _, err := q.Read(make([]byte, 1)); !errors.Is(err, broken) {
			t.Errorf("behind the end: %v", err)
		}
	}
}

// TestQueueIsBounded lets a source go on for ever, and nobody read.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10 * chunkLen)
		done := make(chan struct{})
		go func() { q.fill(zeros{}); close(done) }()
		synctest.Wait()
		if n := len(q.chunks); n != q.max {
			t.Errorf("%d chunks, want %d", n, q.max)
		}
		q.close()
		<-done
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestBehind checks the age of what was read last.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		q := newQueue(chunkLen)
		done := make(chan struct{})
		go func() { q.fill(r); close(done) }()
		one := make([]byte, 1)
		step := func(wait time.Duration, read bool, want time.Duration) {
			t.Helper()
			time.Sleep(wait)
			if read {
				if _, err := q.Read(one); err != nil {
					t.Fatal(err)
				}
			}
			if got := q.behind(); got != want {
				t.Errorf("behind by %v, want %v", got, want)
			}
		}
		_, _ = w.Write([]byte("ab"))
		synctest.Wait()
		step(3*time.Second, true, 3*time.Second)
		step(time.Second, true, 4*time.Second)
		_, _ = w.Write([]byte("c"))
		synctest.Wait()
		step(0, true, 0)
		step(time.Second, false, time.Second)
		_ = w.Close()
		<-done
	})
}
