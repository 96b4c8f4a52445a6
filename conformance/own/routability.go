package own

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// asks makes a Gateway with an address for each routability.
func asks(t *testing.T, s *suite.ConformanceTestSuite, name string, routabilities ...gatewayv1.GatewayAddressRoutabilityType) {
	t.Helper()
	ip := gatewayv1.IPAddressType
	gateway := &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: gatewayv1.ObjectName(s.GatewayClassName),
			Listeners:        []gatewayv1.Listener{{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}},
		},
	}
	for _, routability := range routabilities {
		gateway.Spec.Addresses = append(gateway.Spec.Addresses, gatewayv1.GatewaySpecAddress{Type: &ip, Routability: routability})
	}
	s.Applier.MustApplyObjectsWithCleanup(t, s.Client, s.TimeoutConfig, []client.Object{gateway}, s.CleanupTestResources)
}

// GatewayAddressRoutability: GEP-5093. What means nothing to an implementation gets no address, and no other takes its place.
var GatewayAddressRoutability = suite.ConformanceTest{
	ShortName:   "GatewayAddressRoutability",
	Description: "Each entry of spec.addresses gets an address of the routability that it asks for, or none",
	Features:    []features.FeatureName{features.SupportGateway, features.SupportHTTPRoute, features.SupportGatewayAddressRoutability},
	Manifests:   []string{"manifests/routability.yaml"},
	Parallel:    true,
	Test: func(t *testing.T, s *suite.ConformanceTestSuite) {
		const sentinel, nowhere = "testing.x-k8s.io/sentinel", "conformance.example/nowhere"
		asks(t, s, "routability-known", sentinel)
		asks(t, s, "routability-partly", gatewayv1.GatewayAddressRoutabilityDefault, nowhere)
		asks(t, s, "routability-unknown", nowhere)
		t.Run("the value that every implementation knows is given and repeated", func(t *testing.T) {
			address := routed(t, s, "routability-known")
			conditioned(t, s, "routability-known", "AddressesAssigned", metav1.ConditionTrue, "")
			given := addresses(t, s, "routability-known")
			require.Len(t, given, 1)
			require.NotNil(t, given[0].Routability)
			require.Equal(t, gatewayv1.GatewayAddressRoutabilityType(sentinel), *given[0].Routability)
			served(t, s, address, "", "/", backendV1)
		})
		t.Run("a value that means nothing gets no address, and the others serve", func(t *testing.T) {
			conditioned(t, s, "routability-partly", "AddressesAssigned", metav1.ConditionFalse, "PartiallyAssigned")
			conditioned(t, s, "routability-partly", "Programmed", metav1.ConditionTrue, "")
			given := addresses(t, s, "routability-partly")
			require.Len(t, given, 1)
			require.True(t, given[0].Routability == nil || *given[0].Routability == "")
			served(t, s, net.JoinHostPort(given[0].Value, "80"), "", "/", backendV1)
		})
		t.Run("nothing but such a value is no address at all", func(t *testing.T) {
			conditioned(t, s, "routability-unknown", "AddressesAssigned", metav1.ConditionFalse, "NotAssigned")
			conditioned(t, s, "routability-unknown", "Programmed", metav1.ConditionFalse, "AddressNotAssigned")
			require.Empty(t, addresses(t, s, "routability-unknown"))
		})
	},
}

// GatewayAddressRoutabilityCluster: an address that is reached from inside the cluster is that of a Service.
var GatewayAddressRoutabilityCluster = suite.ConformanceTest{
	ShortName:   "GatewayAddressRoutabilityCluster",
	Description: "An entry with routability Cluster gets the ClusterIP of a Service, beside the addresses of other entries",
	Features: []features.FeatureName{
		features.SupportGateway, features.SupportHTTPRoute,
		features.SupportGatewayAddressRoutability, features.SupportGatewayAddressRoutabilityCluster,
	},
	Manifests: []string{"manifests/routability-cluster.yaml"},
	Parallel:  true,
	Test: func(t *testing.T, s *suite.ConformanceTestSuite) {
		asks(t, s, "routability-cluster", gatewayv1.GatewayAddressRoutabilityDefault, gatewayv1.GatewayAddressRoutabilityCluster)
		routed(t, s, "routability-cluster")
		conditioned(t, s, "routability-cluster", "AddressesAssigned", metav1.ConditionTrue, "")
		given := addresses(t, s, "routability-cluster")
		require.Len(t, given, 2)
		inside, outside := "", ""
		for _, address := range given {
			if address.Routability != nil && *address.Routability == gatewayv1.GatewayAddressRoutabilityCluster {
				inside = address.Value
			} else {
				outside = address.Value
			}
		}
		require.NotEmpty(t, inside)
		require.NotEmpty(t, outside)
		ctx, cancel := context.WithTimeout(context.Background(), s.TimeoutConfig.GetTimeout)
		defer cancel()
		var services corev1.ServiceList
		require.NoError(t, s.Client.List(ctx, &services, client.InNamespace(namespace)))
		found := false
		for _, service := range services.Items {
			found = found || service.Spec.ClusterIP == inside
		}
		require.True(t, found, "%s is the address of no Service", inside)
		for _, address := range []string{inside, outside} {
			served(t, s, net.JoinHostPort(address, "80"), "", "/", backendV1)
		}
	},
}
