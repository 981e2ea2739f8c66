package livetest

import (
	"errors"
	"net/http"
	"os"
	"testing"
	"testing/synctest"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/live"
	"github.com/herald-push/herald/internal/wire/wiretest"
)

// octets is the most bytes that a row is sent of one by one.
const octets = 1200

// RunFrames holds a transport over WebSocket to the table of wiretest: over
// real sockets, and in memory, where each byte that is written alone is read
// alone.
func RunFrames(t *testing.T, h Harness) {
	rules := herald.TopicRules{Publish: []herald.TopicFilter{"#"}}
	opts := live.Options{PublishRate: 1 << 16}
	byGroup := map[int]int{}
	for _, c := range wiretest.Cases() {
		byGroup[c.Group]++
	}
	t.Log("rows by group:", byGroup)
	for _, d := range Drivers() {
		t.Run(string(d), func(t *testing.T) { runFrames(t, h, d, opts, rules) })
	}
}

func runFrames(t *testing.T, h Harness, d Driver, opts live.Options, rules herald.TopicRules) {
	t.Run("sockets", func(t *testing.T) {
		e := newEnv(t, h, d, opts, newSocketNet(t))
		e.world.Rule(rules)
		for _, c := range wiretest.Cases() {
			e.play(c, 0)
		}
	})
	t.Run("octets", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := newEnv(t, h, d, opts, newPipes())
			e.world.Rule(rules)
			for _, c := range wiretest.Cases() {
				if len(c.Bytes()) <= octets && c.Refused != http.StatusBadRequest {
					e.play(c, 1)
				}
			}
		})
	})
}

// play plays a row of the table.
func (e *env) play(c wiretest.Case, cut int) {
	e.Helper()
	conn, err := e.net.dial()
	if err != nil {
		e.Fatal(err)
	}
	m := e.world.Join(herald.PlatformWeb)
	err = wiretest.Player{Path: e.path(), Token: m.Token, Cut: cut}.Play(conn, c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		e.Fatal(err) // one wait is enough
	}
	if err != nil {
		e.Error(err)
	}
}
