package jpush

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/admission"
)

func TestWrongCredentials(t *testing.T) {
	n := newNode(t)
	for path, code := range map[string]int{
		"POST /v3/push": codeAuth, "GET /v3/devices/x": codeDeviceAuth, "GET /v3/tags": codeDeviceAuth, "GET /v3/aliases/x": codeDeviceAuth,
		"GET /v3/received?msg_ids=1": codeReportAuth, "POST /v3/status/message": codeReportAuth, "GET /v3/files": codeAuth,
	} {
		method, path, _ := strings.Cut(path, " ")
		for name, secret := range map[string]string{"none": "", "wrong": "wrong"} {
			t.Run(method+path+name, func(t *testing.T) {
				r := httptest.NewRequest(method, path, strings.NewReader("{}"))
				if secret != "" {
					r.SetBasicAuth(string(n.app), secret)
				}
				a := n.serve(r)
				a.refused(t, 401, code)
				if a.Header().Get("WWW-Authenticate") == "" {
					t.Error("no challenge")
				}
			})
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	n := newNode(t)
	n.do("GET", "/v3/push", "").refused(t, 405, codeMethod)
	a := n.do("GET", "/v3/push/batch/alias/single", "")
	a.refused(t, 405, codeMethod)
	if a.Header().Get("Allow") != "POST" {
		t.Error(a.Header())
	}
	n.do("GET", "/v3", "").refused(t, 404, codeValue)
	n.do("GET", "/v3/nowhere", "").refused(t, 404, codeValue)
	n.do("GET", "/v3/devices/a/b", "").refused(t, 404, codeDeviceValue)
	n.do("GET", "/v3/tags?%zz", "").refused(t, 400, codeDeviceValue)
	n.do("GET", "/v3//tags//", "").want(t, 200, `{"tags":[]}`)
	n.do("GET", "/v3/push/quota", "").want(t, 200, `{"code":0,"message":"success","data":{}}`)
	for _, path := range []string{"POST /v3/images/byurls", "POST /v3/push_plan/create", "GET /v3/push_plan/list", "GET /v3/test/model/list", "DELETE /v3/test/model/delete/x"} {
		method, path, _ := strings.Cut(path, " ")
		n.do(method, path, "").refused(t, 403, codeForbidden)
	}
	for path, want := range map[string]bool{"/v3/push": true, "/v3": true, "//v3//push": true, "/v1/push": false, "/v33/push": false, "v3/push": false, "/": false} {
		if got := Serves(&url.URL{Path: path}); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestRates(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Keys, c.Failures = admission.NewBuckets(1), admission.NewFailures(1) })
	a := n.do("GET", "/v3/tags", "")
	if h := a.Header(); h.Get("X-Rate-Limit-Limit") != "2" || h.Get("X-Rate-Limit-Quota") != "2" || h.Get("X-Rate-Limit-Remaining") != "1" || h.Get("X-Rate-Limit-Reset") != "1" {
		t.Error(h)
	}
	n.do("GET", "/v3/tags", "")
	a = n.do("GET", "/v3/tags", "")
	a.refused(t, 429, codeRate)
	if a.Header().Get("Retry-After") == "" {
		t.Error("it is not said when to come back")
	}
	n.secret = "wrong"
	n.do("GET", "/v3/tags", "").refused(t, 401, codeDeviceAuth)
	n.do("GET", "/v3/tags", "").refused(t, 401, codeDeviceAuth)
	n.do("GET", "/v3/tags", "").refused(t, 429, codeRate)
}

func TestNoRates(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Keys, c.Strangers, c.Failures = nil, nil, nil })
	if h := n.do("GET", "/v3/tags", "").Header(); h.Get("X-Rate-Limit-Limit") != "2147483647" || h.Get("X-Rate-Limit-Remaining") != "2147483647" {
		t.Error(h)
	}
}

func TestBatchCountsAsMany(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Keys = admission.NewBuckets(2) })
	list := func(size int) string {
		s := ""
		for i := range size {
			s += fmt.Sprintf(`"c%d":{},`, i)
		}
		return `{"pushlist":{` + strings.TrimSuffix(s, ",") + `}}`
	}
	n.do("POST", "/v3/push/batch/regid/single", list(5)).refused(t, 400, codeValue)
	if left := n.do("POST", "/v3/push/batch/regid/single", list(2)).Header().Get("X-Rate-Limit-Remaining"); left != "1" {
		t.Errorf("%s left", left)
	}
	n.do("POST", "/v3/push/batch/regid/single", list(3)).refused(t, 429, codeRate)
}

func TestDraining(t *testing.T) {
	n := newNode(t, func(c *Config) { c.Draining = func() bool { return true } })
	n.do("POST", "/v3/push", `{}`).refused(t, 503, codeTimeout)
	n.do("POST", "/v3/devices/x", `{}`).refused(t, 503, codeDeviceTimeout)
	n.do("GET", "/v3/tags", "").want(t, 200, `{"tags":[]}`)
	n.do("POST", "/v3/devices/status", `{"registration_ids":["x"]}`).want(t, 200, `{"x":{}}`)
}

func TestPanicIsAnswered(t *testing.T) {
	n := newNode(t)
	n.api.calls = append(n.api.calls, on("GET", "panics", "panics", func(*exchange) (any, error) { panic("x") }),
		on("GET", "unwritable", "unwritable", func(*exchange) (any, error) { return func() {}, nil }))
	n.do("GET", "/v3/panics", "").refused(t, 500, codeInternal)
	n.do("GET", "/v3/unwritable", "").refused(t, 500, codeInternal)
}

func TestCodesOfErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err          error
		area         area
		status, code int
	}{
		"internal":            {errors.New("x"), areaPush, 500, codeInternal},
		"internal, device":    {errors.New("x"), areaDevice, 500, codeDeviceInternal},
		"internal, report":    {errors.New("x"), areaReport, 500, codeReportInternal},
		"internal, schedule":  {errors.New("x"), areaSchedule, 500, codeScheduleInternal},
		"deadline":            {fmt.Errorf("a: %w", context.DeadlineExceeded), areaPush, 503, codeTimeout},
		"storage":             {herald.Errorf(herald.CodeStorageUnavailable, "R.", "m"), areaDevice, 503, codeDeviceTimeout},
		"forbidden":           {herald.Errorf(herald.CodeForbidden, "R.", "m"), areaPush, 403, codeForbidden},
		"address":             {herald.Errorf(herald.CodeAddressRefused, "R.", "m"), areaPush, 403, codeAddress},
		"too large":           {herald.Errorf(herald.CodeTooLarge, "R.", "m"), areaPush, 400, codeTooLong},
		"too large, device":   {herald.Errorf(herald.CodeTooLarge, "R.", "m"), areaDevice, 400, codeDeviceValue},
		"limit":               {herald.Errorf(herald.CodeLimitReached, "R.", "m"), areaPush, 400, codeQuota},
		"limit, device":       {herald.Errorf(herald.CodeLimitReached, "R.", "m"), areaDevice, 400, codeDeviceValue},
		"rate":                {&herald.Error{Code: herald.CodeRateLimited, RetryAfter: time.Second}, areaReport, 429, codeRate},
		"nobody":              {fmt.Errorf("a: %w", herald.Invalid("audience", "R.", "the audience is empty now")), areaPush, 400, codeNobody},
		"field":               {herald.Invalid("a", "R.", "m"), areaPush, 400, codeValue},
		"one of its own":      {fmt.Errorf("a: %w", refuse(codeRate, "x")), areaPush, 400, codeRate},
		"unknown credentials": {herald.Errorf(herald.CodeUnauthorized, "R.", "m"), areaSchedule, 401, codeScheduleAuth},
	} {
		if got := c.area.refusal(c.err); got.status != c.status || got.code != c.code {
			t.Errorf("%s: %d with code %d", name, got.status, got.code)
		}
	}
}
