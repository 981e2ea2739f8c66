package jpush

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/herald-push/herald"
	"github.com/herald-push/herald/internal/api"
)

// The codes that JPush documents, of those that are given here.
const (
	codeInternal   = 1000
	codeMethod     = 1001
	codeMissing    = 1002 // a member that is needed is not there
	codeValue      = 1003 // a member has a value that it may not have
	codeAuth       = 1004
	codeTooLong    = 1005
	codeUnknown    = 1009 // a member that the API does not have
	codeNobody     = 1011
	codeQuota      = 1012 // of slow pushes, and the like
	codeTimeout    = 1030
	codeActivePush = 1035
	codeRate       = 2002
	codeAddress    = 2004
	codeForbidden  = 2007

	codeDeviceInternal = 7000
	codeDeviceValue    = 7002
	codeDeviceAuth     = 7004
	codeDeviceAlias    = 7015 // the alias has as many devices as it may have
	codeDeviceTimeout  = 7030

	codeScheduleValue    = 8100
	codeScheduleAuth     = 8101
	codeScheduleUnknown  = 8104
	codeScheduleInternal = 8200
	codeScheduleTimeout  = 8203

	codeReportInternal = 10
	codeReportAuth     = 3001
	codeReportStart    = 3004 // start does not fit time_unit
	codeReportTooOld   = 3005
)

// refusal is an error as a caller is told it.
type refusal struct {
	status  int
	code    int
	message string
	after   time.Duration // when to come back; 0 means unsaid
	cause   error         // for the log
}

func (r *refusal) Error() string { return r.message }
func (r *refusal) Unwrap() error { return r.cause }

func refuse(code int, format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, code: code, message: fmt.Sprintf(format, args...)}
}

// area is a part of the API, with codes of its own.
type area struct {
	internal, timeout, auth, value, missing int
}

// The parts of the API.
var (
	areaPush     = area{codeInternal, codeTimeout, codeAuth, codeValue, codeMissing}
	areaDevice   = area{codeDeviceInternal, codeDeviceTimeout, codeDeviceAuth, codeDeviceValue, codeDeviceValue}
	areaSchedule = area{codeScheduleInternal, codeScheduleTimeout, codeScheduleAuth, codeScheduleValue, codeScheduleValue}
	areaReport   = area{codeReportInternal, codeReportInternal, codeReportAuth, codeValue, codeMissing}
)

// areaOf gives the part of the API that a path is of.
func areaOf(path []string) area {
	if len(path) == 0 {
		return areaPush
	}
	switch path[0] {
	case "devices", "tags", "aliases", "test":
		return areaDevice
	case "received", "messages", "status", "users", "group":
		return areaReport
	case "schedules":
		return areaSchedule
	}
	return areaPush
}

// refusal turns an error into what the caller is told of it.
func (a area) refusal(err error) *refusal {
	var told *refusal
	if errors.As(err, &told) {
		return told
	}
	if api.ForNobody(err) {
		return refuse(codeNobody, "cannot find user by this audience")
	}
	var e *herald.Error
	errors.As(err, &e)
	out := &refusal{status: http.StatusBadRequest, code: a.value, cause: err}
	if e != nil {
		out.message, out.after = e.Message, e.RetryAfter
		if e.Field != "" {
			out.message = e.Field + ": " + e.Message
		}
	}
	switch herald.CodeOf(err) {
	case herald.CodeInvalidRequest, herald.CodeNotFound, herald.CodeConflict, herald.CodeIdempotencyConflict:
	case herald.CodeTooLarge:
		out.code = codeTooLong
		if a == areaDevice {
			out.code = a.value
		}
	case herald.CodeLimitReached:
		if a == areaPush {
			out.code = codeQuota
		}
	case herald.CodeUnauthorized:
		out.status, out.code = http.StatusUnauthorized, a.auth
	case herald.CodeForbidden:
		out.status, out.code = http.StatusForbidden, codeForbidden
	case herald.CodeAddressRefused:
		out.status, out.code = http.StatusForbidden, codeAddress
	case herald.CodeRateLimited:
		out.status, out.code = http.StatusTooManyRequests, codeRate
	case herald.CodeStorageUnavailable, herald.CodeDraining:
		out.status, out.code = http.StatusServiceUnavailable, a.timeout
	default:
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			out.status, out.code, out.message = http.StatusServiceUnavailable, a.timeout, "the work took too long"
			break
		}
		out.status, out.code, out.message = http.StatusInternalServerError, a.internal, "internal error"
	}
	return out
}

// failure is the body of an error.
type failure struct {
	Error failureOf `json:"error"`
}

type failureOf struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (r *refusal) body() failure { return failure{failureOf{r.code, r.message}} }
