/* Stands in for the driver's libnvidia-ml.so.1: the functions that execution/gpu.py reaches through pynvml, with the
 * signatures of NVIDIA's nvml.h. What it answers is said by environment variables:
 *   NVML_DEVICES  how many GPUs there are (default 1)
 *   NVML_DRIVER   the driver's version (default 580.65.06); it takes CUDA up to 13.0, or 12.2 before 580
 *   NVML_USE      utilisation in percent of one sample after another, such as 0,50,100; the last one repeats
 *   NVML_FAILS    <function>=<return code>[@<call>]: from its nth call on that function fails with that code
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef void *nvmlDevice_t;

static int calls_of_use = 0, calls_of_failing = 0;

static int fails(const char *name) {
    const char *told = getenv("NVML_FAILS");
    size_t length = strlen(name);
    int code = 0, from = 1;
    if (!told || strncmp(told, name, length) || told[length] != '=') return 0;
    sscanf(told + length + 1, "%d@%d", &code, &from);
    return ++calls_of_failing >= from ? code : 0;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return fails("nvmlInit"); }
int nvmlShutdown(void) { return fails("nvmlShutdown"); }
const char *nvmlErrorString(int code) { return code == 4 ? "Insufficient Permissions" : code == 15 ? "GPU is lost" : "Error"; }

static const char *driver(void) { const char *told = getenv("NVML_DRIVER"); return told ? told : "580.65.06"; }

int nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    snprintf(version, length, "%s", driver());
    return fails("nvmlSystemGetDriverVersion");
}

int nvmlSystemGetCudaDriverVersion(int *version) {
    *version = atoi(driver()) < 580 ? 12020 : 13000;
    return fails("nvmlSystemGetCudaDriverVersion");
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    const char *told = getenv("NVML_DEVICES");
    *count = told ? (unsigned int)atoi(told) : 1;
    return fails("nvmlDeviceGetCount");
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    *device = (nvmlDevice_t)(size_t)(index + 1);
    return fails("nvmlDeviceGetHandleByIndex");
}

int nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
    (void)device;
    snprintf(name, length, "Stand-in L4");
    return fails("nvmlDeviceGetName");
}

int nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates) {
    const char *next = getenv("NVML_USE");
    (void)device;
    for (int skip = calls_of_use++; next && skip > 0 && strchr(next, ','); skip--) next = strchr(next, ',') + 1;
    rates->gpu = next ? (unsigned int)atoi(next) : 0;
    rates->memory = 0;
    return fails("nvmlDeviceGetUtilizationRates");
}

int nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
    (void)device;
    memory->total = 24ULL << 30;
    memory->used = (unsigned long long)calls_of_use << 30;
    memory->free = memory->total - memory->used;
    return fails("nvmlDeviceGetMemoryInfo");
}

int nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *milliwatts) {
    (void)device;
    *milliwatts = 72500;
    return fails("nvmlDeviceGetPowerUsage");
}
