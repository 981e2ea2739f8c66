package dialect

import (
	"context"
	"net"
	"time"
)

// Times for a database server.
const (
	// ConnectTime is how long a connection may take to be made.
	ConnectTime = 5 * time.Second
	// AnswerTime is how long the server may be silent while an answer is
	// awaited. A network that is gone says nothing at all.
	AnswerTime = 30 * time.Second
	// HoldTime is how long another session is waited for that holds the lock:
	// one that was lost ends when the server notices.
	HoldTime = 2 * time.Second
	// HoldPause is the time between two attempts to get the lock.
	HoldPause = 100 * time.Millisecond
)

// Dial makes a connection that gives up when the server is silent.
func Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: ConnectTime, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &patient{Conn: c}, nil
}

// patient bounds each read and write. Who reads asked for something just
// before: the protocols of databases have the server speak when it is spoken
// to.
type patient struct{ net.Conn }

func (p *patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(AnswerTime)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(AnswerTime)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// Await tries until it is done, has failed, or HoldTime is over.
func Await(ctx context.Context, try func(context.Context) (done bool, err error)) (bool, error) {
	end := time.NewTimer(HoldTime)
	defer end.Stop()
	for {
		if done, err := try(ctx); done || err != nil {
			return done, err
		}
		select {
		case <-time.After(HoldPause):
		case <-end.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}
