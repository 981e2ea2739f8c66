package bench

import (
	"fmt"
	"io"
	"time"
)

// Progress tells how far a long piece of work is: on a terminal in one line
// that is written over, else with a line every ten seconds. nil tells nothing.
type Progress struct {
	Out      io.Writer
	Terminal bool
	Now      func() time.Time // default time.Now

	what        string
	begun, last time.Time
}

// How often a line is written.
const (
	terminalEvery = 200 * time.Millisecond
	linesEvery    = 10 * time.Second
)

func (p *Progress) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// Begin names a piece of work.
func (p *Progress) Begin(what string) {
	if p == nil {
		return
	}
	p.what, p.begun = what, p.now()
	p.last = p.begun
}

// At says that done of all units are done.
func (p *Progress) At(done, all int) {
	if p == nil {
		return
	}
	now := p.now()
	every := linesEvery
	if p.Terminal {
		every = terminalEvery
	}
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	took := now.Sub(p.begun)
	text := fmt.Sprintf("%-18s %3d %%", p.what, 100*done/max(all, 1))
	if rate := float64(done) / took.Seconds(); rate > 0 {
		left := time.Duration(float64(all-done) / rate * float64(time.Second))
		text += fmt.Sprintf("  %.0f/s  %v left", rate, left.Round(time.Second))
	}
	p.write(text)
}

func (p *Progress) write(text string) {
	if p.Terminal {
		fmt.Fprintf(p.Out, "\r%-70s", text)
	} else {
		fmt.Fprintln(p.Out, text)
	}
}

// End says that all of it is done.
func (p *Progress) End(all int) {
	if p == nil {
		return
	}
	p.write(fmt.Sprintf("%-18s %d in %v", p.what, all, p.now().Sub(p.begun).Round(10*time.Millisecond)))
	if p.Terminal {
		fmt.Fprintln(p.Out)
	}
}
