package backlog

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
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

func TestBacklog(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	want := make([]byte, 5*chunkLen+17)
	for i := range want {
		want[i] = byte(random.Uint32())
	}
	broken := errors.New("broken")
	for _, max := range []int{0, chunkLen, 100 * chunkLen} {
		b := New(max)
		go b.Fill(lumps{bytes.NewReader(want), random, broken})
		got, err := io.ReadAll(lumps{r: b, random: rand.New(rand.NewPCG(3, 4))})
		if !errors.Is(err, broken) || !bytes.Equal(got, want) {
			t.Errorf("max %d: %d of %d bytes, %v", max, len(got), len(want), err)
		}
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, broken) || b.Waiting() != 0 {
			t.Errorf("behind the end: %d bytes, %v", b.Waiting(), err)
		}
	}
}

// TestBound lets a source go on for ever, in the smallest of pieces, and nobody
// read: the bound is one of bytes.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(10 * chunkLen)
		done := make(chan struct{})
		go func() { b.Fill(iotest.OneByteReader(zeros{})); close(done) }()
		synctest.Wait()
		if n := len(b.chunks); n != b.max || b.Waiting() != n*chunkLen {
			t.Errorf("%d chunks with %d bytes, want %d, all full", n, b.Waiting(), b.max)
		}
		b.Close()
		<-done
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestBehind checks the age of what was read last.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		b := New(chunkLen)
		done := make(chan struct{})
		go func() { b.Fill(r); close(done) }()
		one := make([]byte, 1)
		step := func(wait time.Duration, read bool, want time.Duration) {
			t.Helper()
			time.Sleep(wait)
			if read {
				if _, err := b.Read(one); err != nil {
					t.Fatal(err)
				}
			}
			if got := b.Behind(); got != want {
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
