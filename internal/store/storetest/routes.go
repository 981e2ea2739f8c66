package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/record"
)

func testRoutes(t *testing.T, f *fixture) {
	route := func(app herald.AppKey, name string, after time.Duration) record.NamedRoute {
		return record.NamedRoute{App: app, Name: name, Created: start, Updated: start.Add(after), Route: herald.Route{Steps: []herald.RouteStep{
			{Channel: herald.ChannelLive, Unless: herald.StateReceived},
			{Channel: herald.ChannelSMS, Vendor: herald.VendorTwilio, Credential: "短信", Unless: herald.StateDisplayed, After: herald.Duration(after),
				Notification: &herald.Notification{Body: "短信"}, Options: json.RawMessage(`{"text":"x"}`)}}}}
	}
	urgent, def, foreign := route(appA, "urgent/ä", time.Minute), route(appA, herald.DefaultRouteName, 0), route(appB, "urgent/ä", time.Hour)
	for _, r := range []record.NamedRoute{urgent, foreign, route(appA, herald.DefaultRouteName, time.Second), def} { // the last one replaces
		f.must(f.PutRoute(f.ctx, r))
	}
	f.must(f.PutRoute(f.ctx, def)) // which changes nothing, and is no error
	f.restart()
	got, err := f.Routes(f.ctx)
	f.must(err)
	same(t, "Routes", got, []record.NamedRoute{def, urgent, foreign})
	f.must(f.DeleteRoute(f.ctx, appA, "urgent/ä"))
	refused(t, f.DeleteRoute(f.ctx, appA, "urgent/ä"), herald.CodeNotFound)
	refused(t, f.DeleteRoute(f.ctx, appA, "Default"), herald.CodeNotFound)
	refused(t, f.DeleteRoute(f.ctx, none, "default"), herald.CodeNotFound)
	refused(t, f.PutRoute(f.ctx, route(none, "x", 0)), herald.CodeNotFound)
	got, err = f.Routes(f.ctx)
	f.must(err)
	same(t, "Routes after one is deleted", got, []record.NamedRoute{def, foreign})
}
