package v1

import (
	"context"
	"iter"
	"net/http"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

const exampleDevice = `{"registration_id":"06dbnqfs00v8k3m1p2r4","platform":"web","language":"en-GB","time_zone":"Europe/London","alias":"user-1001","tags":["vip"],"attributes":{"plan":"gold"},"online":true,"transports":["websocket"],"registered_at":"2026-11-01T08:00:00Z","seen_at":"2026-11-21T09:30:00Z","addresses":[{"vendor":"apns","environment":"production","token":"0a1b2c…d4e5f6","registered_at":"2026-11-21T09:30:00Z"}]}`

// registerReply is the output of POST /v1/devices, which has two good
// statuses.
type registerReply struct {
	Status int
	Body   api.RegisterAnswer
}

// DeviceInput is the parameter of operations on one device. It is exported
// because huma does not look into what is not.
type DeviceInput struct {
	ID string `path:"registration_id" pattern:"^[0-9a-v]{20}$" doc:"Registration ID, as POST /v1/devices answered it." example:"06dbnqfs00v8k3m1p2r4"`
}

type removeInput struct {
	DeviceInput
	Erase truth `query:"erase" doc:"Forget the device as well: contents of messages that were for it alone, its names in audiences, its history, and its alias if no other device bears it. Counts stay as they are. Only for back ends; it looks at every message of the app, and may take a while."`
}

type deviceListInput struct {
	Alias    string   `query:"alias" maxLength:"128" doc:"Only devices bound to this alias."`
	Tag      string   `query:"tag" maxLength:"128" doc:"Only devices with this tag."`
	Platform string   `query:"platform" enum:"web,android,ios,hmos,quickapp,windows,macos,linux,embedded,other" doc:"Only devices on this platform."`
	Online   truth    `query:"online" doc:"Only devices that are connected now, or only those that are not."`
	Cursor   string   `query:"cursor" doc:"next_cursor of the page before."`
	Limit    pageSize `query:"limit" doc:"Devices on a page."`
	FormInput
}

func (a *API) addDevices() {
	register(a, operation{
		id: "registerDevice", method: "POST", path: "/v1/devices", tag: "Devices", summary: "Register a device", status: http.StatusCreated, write: true, anonymous: true,
		description: "Makes a device, or finds the one that the same installation made before, and gives it a token with which it connects. Needs only the app key, in the body. An alias or tags need a back end's credentials, or an app that lets devices choose them; a signed `alias_token` always binds its alias.",
		body:        api.RegisterRequest{},
		example:     `{"app_key":"k3x9q0a7c5m2p8r1t6v4w0z2","installation":"c2b1f9d0e8a74c55","platform":"web","language":"en-GB","time_zone":"Europe/London"}`,
		answer:      `{"registration_id":"06dbnqfs00v8k3m1p2r4","token":"hd1.k3x9q0a7c5m2p8r1t6v4w0z2.1.06dbnqfs00v8k3m1p2r4.7.1.Yp0sJ2n1kPQx","created":true}`,
	}, a.registerDevice)
	register(a, operation{
		id: "listDevices", method: "GET", path: "/v1/devices", tag: "Devices", summary: "List devices",
		description: "Shows devices in the order of their registration. Filters are joined by AND. Answers a page of JSON, or streams all of it as CSV or NDJSON. Needs the scope `devices:read`.",
		answer:      `{"devices":[` + exampleDevice + `]}`, list: api.DevicePage{},
	}, a.listDevices)
	register(a, operation{
		id: "getDevice", method: "GET", path: "/v1/devices/{registration_id}", tag: "Devices", summary: "Show a device",
		description: "Shows a device with its alias, tags, attributes and presence. A device may see itself; others need the scope `devices:read`.",
		answer:      exampleDevice, errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *DeviceInput) (*reply[api.DeviceView], error) {
		id, err := registrationID(in.ID)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Devices.Get(ctx, x.p, id))
	})
	register(a, operation{
		id: "updateDevice", method: "PATCH", path: "/v1/devices/{registration_id}", tag: "Devices", summary: "Change a device", write: true,
		description: "Members that are absent stay as they are. A device may change its own profile; others need the scope `devices:write`.",
		body:        api.DeviceUpdate{}, example: `{"alias":"user-1001","tags_add":["vip"],"attributes":{"plan":"gold","trial":null}}`,
		answer: exampleDevice, errors: []int{http.StatusNotFound, http.StatusConflict},
	}, func(ctx context.Context, x *exchange, in *DeviceInput) (*reply[api.DeviceView], error) {
		id, err := registrationID(in.ID)
		if err != nil {
			return nil, err
		}
		update, err := decode[api.DeviceUpdate](x)
		if err != nil {
			return nil, err
		}
		return answer(a.service.Devices.Update(ctx, x.p, id, update))
	})
	register(a, operation{
		id: "removeDevice", method: "DELETE", path: "/v1/devices/{registration_id}", tag: "Devices", summary: "Remove a device", write: true,
		description: "Retires a device for good and deletes its row: registration ID, profile, attributes and installation. What waited for it ends as `device_gone`. With `erase=true` what the record says about it elsewhere goes, too. A device may remove itself; others need the scope `devices:write`.",
		errors:      []int{http.StatusNotFound},
	}, func(ctx context.Context, x *exchange, in *removeInput) (*none, error) {
		id, err := registrationID(in.ID)
		if err != nil {
			return nil, err
		}
		erase, err := in.Erase.bool("erase")
		if err != nil {
			return nil, err
		}
		if erase != nil && *erase {
			done, err := a.begin()
			if err != nil {
				return nil, err
			}
			defer done()
			return gone(a.service.Devices.Erase(ctx, x.p, id))
		}
		return gone(a.service.Devices.Remove(ctx, x.p, id))
	})
}

func (a *API) registerDevice(ctx context.Context, x *exchange, _ *none) (*registerReply, error) {
	req, err := decode[api.RegisterRequest](x)
	if err != nil {
		return nil, err
	}
	// For a stranger the app is known only now.
	if x.p.App == "" {
		if err := a.admitOrigin(x, req.AppKey); err != nil {
			return nil, err
		}
	}
	out, err := a.service.Devices.Register(ctx, x.p, req)
	if err != nil {
		return nil, err
	}
	if out.Created {
		return &registerReply{http.StatusCreated, out}, nil
	}
	return &registerReply{http.StatusOK, out}, nil
}

func (a *API) listDevices(ctx context.Context, x *exchange, in *deviceListInput) (*listed, error) {
	limit, err := in.Limit.int()
	if err != nil {
		return nil, err
	}
	online, err := in.Online.bool("online")
	if err != nil {
		return nil, err
	}
	q := api.DeviceQuery{Alias: herald.Alias(in.Alias), Tag: herald.Tag(in.Tag), Platform: herald.Platform(in.Platform),
		Online: online, Cursor: in.Cursor, Limit: limit}
	if q.Platform != "" && !q.Platform.Valid() {
		return nil, herald.Invalid("platform", "Use one of: "+platforms()+".", "%.20q is not a platform", in.Platform)
	}
	if x.as == asPage {
		v, err := a.service.Devices.List(ctx, x.p, q)
		return page(x, v, err)
	}
	return export(a, x, deviceTable, func() (iter.Seq2[[]api.DeviceView, error], error) {
		return a.service.Devices.Each(ctx, x.p, q)
	})
}

func platforms() string {
	s := ""
	for i, p := range herald.Platforms {
		if i > 0 {
			s += ", "
		}
		s += string(p)
	}
	return s
}
