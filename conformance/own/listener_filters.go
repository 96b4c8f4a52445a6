package own

import (
	"net"
	"testing"

	"sigs.k8s.io/gateway-api/conformance/utils/http"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// GatewayListenerFilters: GEP-5224. The filters of a listener run before a route is chosen.
var GatewayListenerFilters = suite.ConformanceTest{
	ShortName:   "GatewayListenerFilters",
	Description: "A listener asks an authorizer before it looks for a route",
	Features:    []features.FeatureName{features.SupportGateway, features.SupportHTTPRoute, features.SupportGatewayListenerFilters},
	Manifests:   []string{"manifests/listener-filters.yaml"},
	Parallel:    true,
	Test: func(t *testing.T, s *suite.ConformanceTestSuite) {
		// Of a Gateway with several listeners the suite says only the address.
		host := routed(t, s, "listener-filters")
		t.Run("what the authorizer adds chooses the route", func(t *testing.T) {
			http.MakeRequestAndExpectEventuallyConsistentResponse(t, s.RoundTripper, s.TimeoutConfig, net.JoinHostPort(host, "80"),
				http.ExpectedResponse{
					Request: http.Request{Path: "/"},
					// Sent as X-Echo-Set-Header, so the authorizer, which is such a backend, answers with it.
					BackendSetResponseHeaders: map[string]string{"X-User": "alice"},
					ExpectedRequest:           &http.ExpectedRequest{Request: http.Request{Path: "/", Headers: map[string]string{"X-User": "alice"}}},
					Response:                  http.Response{StatusCode: 200},
					Backend:                   backendV1,
					Namespace:                 namespace,
				})
			served(t, s, net.JoinHostPort(host, "80"), "", "/", backendV2)
		})
		t.Run("what the authorizer refuses reaches no route", func(t *testing.T) {
			denying := net.JoinHostPort(host, "8080")
			served(t, s, denying, "", "/200", backendV2)
			for path, code := range map[string]int{"/401": 401, "/403": 403} {
				http.MakeRequestAndExpectEventuallyConsistentResponse(t, s.RoundTripper, s.TimeoutConfig, denying,
					http.ExpectedResponse{Request: http.Request{Path: path}, Response: http.Response{StatusCode: code}, Namespace: namespace})
			}
		})
	},
}
