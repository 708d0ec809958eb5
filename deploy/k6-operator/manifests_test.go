package operator

// testRun is what a TestRun of k6-operator may say of all that is looked at here.
type testRun struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Parallelism int
		Arguments   string
		Script      struct {
			LocalFile string `yaml:"localFile"`
		}
		Separate bool
		Runner   struct {
			Pod       `yaml:",inline"`
			Container `yaml:",inline"`
		}
	}
}

type job struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		BackoffLimit int `yaml:"backoffLimit"`
		Template     struct {
			Spec struct {
				Pod           `yaml:",inline"`
				RestartPolicy string `yaml:"restartPolicy"`
				Containers    []Container
			}
		}
	}
}

type Pod struct {
	SecurityContext struct {
		RunAsNonRoot bool `yaml:"runAsNonRoot"`
		RunAsUser    int  `yaml:"runAsUser"`
		RunAsGroup   int  `yaml:"runAsGroup"`
		FSGroup      int  `yaml:"fsGroup"`
	} `yaml:"securityContext"`
	Volumes []struct {
		Name  string
		Claim struct {
			Name string `yaml:"claimName"`
		} `yaml:"persistentVolumeClaim"`
	}
}

// Container is a program that runs in a pod.
type Container struct {
	Name         string
	Image        string
	Command      []string
	Env          []struct{ Name, Value string }
	Resources    struct{ Requests map[string]string }
	VolumeMounts []struct {
		Name string
		Path string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type claim struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		AccessModes []string `yaml:"accessModes"`
		Resources   struct{ Requests map[string]string }
	}
}

type kustomization struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Resources  []string
}
