package api_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// TestManyAtOnce asks about several devices in one call, as those may who may
// ask about one.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	register := func(p herald.Platform, tags ...herald.Tag) herald.RegistrationID {
		a, err := w.s.Devices.Register(ctx, w.masterA, api.RegisterRequest{Profile: api.Profile{Platform: p}, Tags: tags})
		if err != nil {
			t.Fatal(err)
		}
		return a.RegistrationID
	}
	phone, tablet := register(herald.PlatformAndroid, "vip"), register(herald.PlatformIOS, "vip")
	ids := []herald.RegistrationID{phone, tablet, "0000000000000000000v", "no ID"}

	r := api.SendRequest{Audience: herald.Audience{RegistrationIDs: ids[:1]}, Data: json.RawMessage("1"), RequireTarget: true}
	if e, err := w.s.Messages.Check(ctx, w.masterA, r); err != nil || e.Devices != 1 {
		t.Errorf("check: %+v, %v", e, err)
	}
	sent, err := w.s.Messages.Send(ctx, w.masterA, r, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	states, err := w.s.Messages.States(ctx, w.masterA, sent.ID, ids)
	if err != nil || len(states) != 2 || states[phone] != herald.StatePending || states[tablet] != "" {
		t.Errorf("states: %v, %v", states, err)
	}
	r.Audience.RegistrationIDs = ids[2:3]
	if _, err := w.s.Messages.Check(ctx, w.masterA, r); !api.ForNobody(err) {
		t.Errorf("check for nobody: %v", err)
	}
	found, err := w.s.Devices.Find(ctx, w.masterA, ids)
	if err != nil || len(found) != 2 || found[tablet].Platform != herald.PlatformIOS || found[phone].Tags[0] != "vip" {
		t.Errorf("find: %+v, %v", found, err)
	}
	if _, err := w.s.Devices.Find(ctx, w.masterA, make([]herald.RegistrationID, herald.MaxIDsPerCall+1)); herald.CodeOf(err) != herald.CodeInvalidRequest {
		t.Errorf("too many: %v", err)
	}
	if err := w.s.Devices.DeleteTagOn(ctx, w.masterA, "vip", herald.PlatformIOS); err != nil {
		t.Fatal(err)
	}
	if err := w.s.Devices.DeleteTagOn(ctx, w.masterA, "vip", herald.PlatformIOS); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("delete again: %v", err)
	}
	if v, err := w.s.Devices.Tag(ctx, w.masterA, "vip"); err != nil || v.Devices != 1 {
		t.Errorf("tag: %+v, %v", v, err)
	}
	day := api.Period{From: w.now.Add(-time.Hour), Until: w.now.Add(time.Hour)}
	before := api.Period{From: w.now.Add(-2 * time.Hour), Until: w.now.Add(-time.Hour)}
	n, err := w.s.Devices.Numbers(ctx, w.masterA, []api.Period{before, day})
	if err != nil || len(n[0]) != 0 || n[1][herald.PlatformAndroid].New != 1 || n[1][herald.PlatformIOS].New != 1 {
		t.Errorf("numbers: %v, %v", n, err)
	}

	poor := api.Principal{Kind: api.Key, App: w.a}
	_, err1 := w.s.Messages.Check(ctx, poor, r)
	_, err2 := w.s.Messages.States(ctx, poor, sent.ID, ids)
	_, err3 := w.s.Devices.Find(ctx, poor, ids)
	err4 := w.s.Devices.DeleteTagOn(ctx, poor, "vip", herald.PlatformAndroid)
	_, err5 := w.s.Devices.Numbers(ctx, poor, nil)
	for i, err := range []error{err1, err2, err3, err4, err5} {
		if herald.CodeOf(err) != herald.CodeForbidden {
			t.Errorf("call %d without a scope: %v", i+1, err)
		}
	}
	if _, err := w.s.Messages.States(ctx, w.masterB, sent.ID, ids); herald.CodeOf(err) != herald.CodeNotFound {
		t.Errorf("states of another app: %v", err)
	}
}
