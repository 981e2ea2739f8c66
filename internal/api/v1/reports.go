package v1

import (
	"context"
	"iter"
	"net/http"
	"strconv"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const (
	exampleReport = `{"message_id":"245870126268416001","state":"sending","accepted_at":"2026-11-21T09:30:00Z","funnel":` + exampleFunnel + `,"states":{"pending":1,"sent":1,"received":1},"channels":[{"channel":"live","devices":2,"transports":{"websocket":2}},{"channel":"none","devices":1}],"platforms":[],"timeline":{"bucket":"minute","buckets":[{"time":"2026-11-21T09:30:00Z","sent":2,"received":1,"displayed":0,"clicked":0}],"unknown":{"sent":0,"received":0,"displayed":0,"clicked":0}}}`
	exampleFunnel = `{"target":3,"sent":2,"received":1,"displayed":0,"clicked":0,"unknown":{"received":1,"displayed":2,"clicked":2},"rates":{"sent":0.67,"received":0.33,"displayed":null,"clicked":null}}`

	exampleDeliveries = `{"deliveries":[{"registration_id":"06dbnqfs00v8k3m1p2r4","alias":"user-1001","platform":"web","state":"received","reason":"Received: the device has it.","via":"websocket","sent_at":"2026-11-21T09:30:00.02Z","received_at":"2026-11-21T09:30:00.12Z"}],"next_cursor":"8"}`
	exampleTimeline   = `{"registration_id":"06dbnqfs00v8k3m1p2r4","seen_at":"2026-11-21T09:30:00Z","kept_since":"2026-10-22T09:30:00Z","items":[{"time":"2026-11-21T09:30:00Z","kind":"message","message_id":"245870126268416001","title":"Hello","state":"received","text":"Received: the device has it.","steps":[{"time":"2026-11-21T09:30:00.12Z","event":"received","via":"receipt","text":"The device acknowledged it."}]},{"time":"2026-11-01T08:00:00Z","kind":"registered","text":"The device registered."}]}`
)

type reportInput struct {
	ID     string `path:"id" pattern:"^[1-9][0-9]{0,18}$" doc:"Message ID." example:"245870126268416001"`
	Bucket string `query:"bucket" enum:"minute,hour,day" doc:"Length of a step of the timeline. Left out, it is chosen so that there are few."`
}

type deliveriesInput struct {
	ID       string   `path:"id" pattern:"^[1-9][0-9]{0,18}$" doc:"Message ID." example:"245870126268416001"`
	State    string   `query:"state" enum:"pending,sent,received,displayed,clicked,expired,withdrawn,replaced,device_gone,rebound,overflow,rejected,dead,unconfirmed" doc:"Only devices on which it stands like this."`
	Platform string   `query:"platform" enum:"web,android,ios,hmos,quickapp,windows,macos,linux,embedded,other,unknown" doc:"Only devices on this platform, or on none that is known."`
	Cursor   string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit    pageSize `query:"limit" doc:"Deliveries on a page."`
	FormInput
}

type timelineInput struct {
	ID     string   `path:"registration_id" pattern:"^[0-9a-v]{20}$" doc:"Registration ID." example:"06dbnqfs00v8k3m1p2r4"`
	Cursor string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit  pageSize `query:"limit" doc:"Items on a page."`
}

func (a *API) addReports() {
	register(a, operation{
		id: "reportMessage", method: "GET", path: "/v1/messages/{id}/report", tag: "Messages", summary: "Report how a message fares",
		description: "Tells how far the message came: in all, by channel, by platform and over time. What nobody can know is told as unknown, and its rate as null: a device that has not acknowledged a message may have it all the same. Needs the scope `messages:read`.",
		answer:      exampleReport, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *reportInput) (*reply[api.Report], error) {
		id, err := messageID(in.ID)
		if err != nil {
			return nil, err
		}
		done, err := a.begin()
		if err != nil {
			return nil, err
		}
		defer done()
		return answer(a.service.Messages.Report(ctx, x.p, id, api.Bucket(in.Bucket)))
	})
	register(a, operation{
		id: "listDeliveries", method: "GET", path: "/v1/messages/{id}/deliveries", tag: "Messages", summary: "List the devices of a message with what became of it",
		description: "Shows each device of the message with its state there, when it came to it, and why, in words. Answers a page of JSON, or streams all of it as CSV or NDJSON. Needs the scopes `messages:read` and `devices:read`.",
		answer:      exampleDeliveries, list: api.DeliveryPage{}, errors: []int{http.StatusNotFound},
	}, a.listDeliveries)
	register(a, operation{
		id: "deviceTimeline", method: "GET", path: "/v1/devices/{registration_id}/timeline", tag: "Devices", summary: "Show what happened to a device",
		description: "Shows the messages for a device with what became of each, newest first, and when it registered. Messages are kept for 30 days after their end. A device may see its own; others need the scopes `messages:read` and `devices:read`.",
		answer:      exampleTimeline, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *timelineInput) (*reply[api.DeviceTimeline], error) {
		id, err := registrationID(in.ID)
		if err != nil {
			return nil, err
		}
		limit, err := in.Limit.int()
		if err != nil {
			return nil, err
		}
		return answer(a.service.Devices.Timeline(ctx, x.p, id, in.Cursor, limit))
	})
}

func (a *API) listDeliveries(ctx context.Context, x *exchange, in *deliveriesInput) (*listed, error) {
	id, err := messageID(in.ID)
	if err != nil {
		return nil, err
	}
	limit, err := in.Limit.int()
	if err != nil {
		return nil, err
	}
	q := api.DeliveryQuery{State: herald.DeliveryState(in.State), Platform: herald.Platform(in.Platform), Cursor: in.Cursor, Limit: limit}
	if x.as == asPage {
		v, err := a.service.Messages.Deliveries(ctx, x.p, id, q)
		return page(x, v, err)
	}
	t := deliveryTable
	t.name += "-" + id.String()
	return export(a, x, t, func() (iter.Seq2[[]api.DeliveryView, error], error) {
		return a.service.Messages.EachDelivery(ctx, x.p, id, q)
	})
}

var deliveryTable = table[api.DeliveryView]{
	name:   "deliveries",
	header: []string{"registration_id", "alias", "platform", "state", "reason", "via", "sent_at", "received_at", "displayed_at", "clicked_at", "ended_at"},
	cells: func(v api.DeliveryView) []string {
		return []string{string(v.RegistrationID), string(v.Alias), string(v.Platform), string(v.State), v.Reason, v.Via,
			timeCell(v.SentAt), timeCell(v.ReceivedAt), timeCell(v.DisplayedAt), timeCell(v.ClickedAt), timeCell(v.EndedAt)}
	},
}

var deviceTable = table[api.DeviceView]{
	name:   "devices",
	header: []string{"registration_id", "alias", "platform", "app_version", "language", "time_zone", "tags", "attributes", "online", "registered_at", "seen_at"},
	cells: func(v api.DeviceView) []string {
		attributes := ""
		if len(v.Attributes) > 0 {
			attributes = jsonCell(v.Attributes)
		}
		return []string{string(v.RegistrationID), string(v.Alias), string(v.Platform), v.AppVersion, v.Language, v.TimeZone,
			stringsOf(v.Tags), attributes, strconv.FormatBool(v.Online), timeCell(&v.RegisteredAt), timeCell(&v.SeenAt)}
	},
}

var messageTable = table[api.MessageView]{
	name: "messages",
	header: []string{"id", "state", "title", "audience", "ttl", "priority", "collapse_key", "ordering_key", "stored", "accepted_at",
		"send_at", "expires_at", "ended_at", "unknown", "target", "sent", "received", "displayed", "clicked"},
	cells: func(v api.MessageView) []string {
		title := ""
		if v.Notification != nil {
			title = v.Notification.Title
		}
		cells := []string{v.ID.String(), string(v.State), title, jsonCell(v.Audience), countCell(v.TTL), string(v.Priority), v.CollapseKey,
			v.OrderingKey, strconv.FormatBool(v.Stored), timeCell(&v.AcceptedAt), timeCell(v.SendAt), timeCell(&v.ExpiresAt), timeCell(v.EndedAt), countCell(v.Unknown)}
		if c := v.Counts; c != nil {
			return append(cells, countCell(c.Target), countCell(c.Sent), countCell(c.Received), countCell(c.Displayed), countCell(c.Clicked))
		}
		return append(cells, "", "", "", "", "") // nobody knows yet
	},
}
