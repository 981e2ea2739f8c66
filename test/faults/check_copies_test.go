package faults_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/herald-push/herald"
)

// sameID: every copy bears the same ID; within one connection a message is
// sent once; to the application, through the SDK, a message comes once.
func sameID(e *evidence) (wrong []string) {
	type place struct {
		device, conn int
		id           string
	}
	ids, nonces, seen := map[string]string{}, map[string]string{}, map[place]bool{}
	for _, f := range e.j.frames {
		if f.Type != "message" {
			continue
		}
		if was := ids[f.Nonce]; was != "" && was != f.ID {
			wrong = append(wrong, fmt.Sprintf("%s came as %s and as %s", f.Nonce, was, f.ID))
		}
		if was := nonces[f.ID]; was != "" && was != f.Nonce {
			wrong = append(wrong, fmt.Sprintf("message %s has two bodies", f.ID))
		}
		ids[f.Nonce], nonces[f.ID] = f.ID, f.Nonce
		k := place{f.Device, f.Conn, f.ID}
		if seen[k] {
			wrong = append(wrong, fmt.Sprintf("device %d received message %s twice on one connection (%d)", f.Device, f.ID, f.Conn))
		}
		seen[k] = true
		if p := e.j.byNonce[f.Nonce]; p != nil && p.ID != "" && p.ID != f.ID {
			wrong = append(wrong, fmt.Sprintf("%s was accepted as %s and came as %s", f.Nonce, p.ID, f.ID))
		}
	}
	return wrong
}

// position reads the log position out of a cursor.
func position(cursor string) (pos uint64, ok bool) {
	f := strings.Split(cursor, ".")
	if len(f) < 2 {
		return 0, false
	}
	pos, err := strconv.ParseUint(f[1], 10, 64)
	return pos, err == nil
}

// inOrder: a device sees messages first in the order of their releases, and
// that is the order in which they were accepted, unless they were scheduled, spread or held.
func inOrder(e *evidence) (wrong []string) {
	type first struct {
		device int
		id     string
	}
	seen, last := map[first]bool{}, map[int]uint64{}
	at := map[*push]uint64{}
	for _, f := range e.j.frames {
		pos, ok := position(f.Cursor)
		if !ok || f.Type != "message" {
			continue
		}
		if p := e.j.byNonce[f.Nonce]; p != nil {
			at[p] = pos
		}
		if k := (first{f.Device, f.ID}); !seen[k] {
			seen[k] = true
			if pos < last[f.Device] {
				wrong = append(wrong, fmt.Sprintf("device %d saw message %s, released at %d, after one released at %d", f.Device, f.ID, pos, last[f.Device]))
			}
			last[f.Device] = max(last[f.Device], pos)
		}
	}
	for app := range e.w.apps {
		var list []*push
		for p := range at {
			if p.App == app && p.SendAt.IsZero() && p.Spread == 0 && p.Live == 0 && p.accepted() {
				list = append(list, p)
			}
		}
		slices.SortFunc(list, func(a, b *push) int { return int(int64(at[a]) - int64(at[b])) })
		var began time.Time
		for _, p := range list {
			if p.Ended.Before(began) {
				wrong = append(wrong, fmt.Sprintf("message %s was answered before another was sent, and is released after it", p.ID))
			}
			if p.Began.After(began) {
				began = p.Began
			}
		}
	}
	return wrong
}

// noticed is how long a busy server may take to write down what it did.
const noticed = 10 * time.Second

// inTime: nothing goes out more than a second after its TTL, after a confirmed
// withdrawal, or before its time. A connection that was opened after the end
// proves it whatever the machine was busy with; what came over an older one
// may have waited in its buffers, and there the server's own word counts.
func inTime(e *evidence) (wrong []string) {
	for _, f := range e.j.frames {
		p := e.j.byNonce[f.Nonce]
		if p == nil || f.Type != "message" || !p.accepted() {
			continue
		}
		if !p.SendAt.IsZero() && f.At.Before(p.SendAt) {
			wrong = append(wrong, fmt.Sprintf("message %s came %s before its time", f.ID, p.SendAt.Sub(f.At)))
		}
		if p.Live > 0 && f.At.Before(p.Began.Add(p.Live)) {
			wrong = append(wrong, fmt.Sprintf("message %s came over a connection %s before that had its turn", f.ID, p.Began.Add(p.Live).Sub(f.At)))
		}
		if !f.SDK && p.TTL > 0 && f.Opened.After(p.expires().Add(time.Second)) {
			wrong = append(wrong, fmt.Sprintf("message %s came over a connection that was opened %s after its TTL", f.ID, f.Opened.Sub(p.expires())))
		}
		if !f.SDK && p.Withdrawn && f.Opened.After(p.WithdrawEnded) {
			wrong = append(wrong, fmt.Sprintf("message %s came over a connection that was opened %s after it was withdrawn", f.ID, f.Opened.Sub(p.WithdrawEnded)))
		}
	}
	for k, t := range e.traces {
		p := e.byID[k.id]
		for _, s := range t.Steps {
			if s.Event == string(herald.StateSent) && s.Time.After(p.expires().Add(noticed)) {
				wrong = append(wrong, fmt.Sprintf("message %s was sent to device %d %s after its TTL", k.id, k.device, s.Time.Sub(p.expires())))
			}
		}
	}
	return wrong
}

// oneKeyOneMessage: a key and its request make one message; with another
// request the key is refused.
func oneKeyOneMessage(e *evidence) (wrong []string) {
	for _, p := range e.j.pushes {
		ids := p.Repeats
		if p.ID != "" {
			ids = append([]string{p.ID}, ids...)
		}
		for _, id := range ids {
			if id != ids[0] {
				wrong = append(wrong, fmt.Sprintf("one key was answered with %s and with %s", ids[0], id))
			}
		}
		if n := len(e.listed[p.App][p.Nonce]); n > 1 {
			wrong = append(wrong, fmt.Sprintf("one request made %d messages: %v", n, e.listed[p.App][p.Nonce]))
		}
		if p.Refuse == "key" && p.accepted() {
			wrong = append(wrong, fmt.Sprintf("the key %s was taken for another request", p.Key))
		}
	}
	return wrong
}
