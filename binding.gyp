# The CPU addon and the native test and bench programs, from one list of objects.
# Build with `npm run build:native`; native/build.mjs supplies headers, so nothing is fetched.
{
  'variables': {
    'sanitize%': '',
    # Compiled once per instruction set, into a namespace named by ISA.
    'cpu_kernels': [
      'kernels/cpu/attention.cpp',
      'kernels/cpu/embed.cpp',
      'kernels/cpu/feedback.cpp',
      'kernels/cpu/gram.cpp',
      'kernels/cpu/kv_append.cpp',
      'kernels/cpu/linear.cpp',
      'kernels/cpu/linear_packed.cpp',
      'kernels/cpu/linear_widened.cpp',
      'kernels/cpu/log_prob.cpp',
      'kernels/cpu/pack.cpp',
      'kernels/cpu/pack_feedback.cpp',
      'kernels/cpu/pool_keys.cpp',
      'kernels/cpu/quantize_rows.cpp',
      'kernels/cpu/refine.cpp',
      'kernels/cpu/rms_norm.cpp',
      'kernels/cpu/rope.cpp',
      'kernels/cpu/score_blocks.cpp',
      'kernels/cpu/silu_mul.cpp',
      'kernels/cpu/table.cpp',
    ],
    # Of the CUDA plug-in, beside its kernels and a device.
    'cuda_host': [
      'native/cuda/cuda_backend.cpp', 'native/cuda/cuda_memory.cpp', 'native/cuda/step_rows.cpp',
    ],
  },
  'target_defaults': {
    'include_dirs': ['.'],
    'cflags_cc': [
      '-std=c++20', '-O3', '-fPIC', '-fvisibility=hidden', '-fno-math-errno', '-fno-trapping-math',
      '-ffp-contract=off',
      '-Wall', '-Wextra', '-Wno-missing-field-initializers', '-pthread',
    ],
    'cflags_cc!': ['-fno-exceptions', '-fno-rtti'],
    'ldflags': ['-pthread'],
    'conditions': [
      ['sanitize!=""', {
        'cflags_cc': ['-fsanitize=<(sanitize)', '-fno-omit-frame-pointer', '-g', '-O1'],
        'ldflags': ['-fsanitize=<(sanitize)'],
      }],
    ],
  },
  'targets': [
    {
      'target_name': 'cpu_baseline',
      'type': 'static_library',
      'sources': ['<@(cpu_kernels)'],
      'defines': ['ISA=baseline'],
    },
    {
      'target_name': 'cpu_avx2',
      'type': 'static_library',
      'sources': ['<@(cpu_kernels)'],
      'defines': ['ISA=avx2'],
      'cflags_cc': ['-mavx2', '-mfma', '-mf16c', '-mbmi2'],
    },
    {
      'target_name': 'cpu_avxvnni',
      'type': 'static_library',
      'sources': ['<@(cpu_kernels)'],
      'defines': ['ISA=avxvnni', 'AVXVNNI'],
      'cflags_cc': ['-mavx2', '-mfma', '-mf16c', '-mbmi2'],
    },
    # For tests and benches: the same in the encoding of processors that have AVX-512 and no AVX-VNNI.
    {
      'target_name': 'cpu_avxvnni_evex',
      'type': 'static_library',
      'sources': ['<@(cpu_kernels)'],
      'defines': ['ISA=avxvnni_evex', 'AVXVNNI', 'AVXVNNI_EVEX'],
      'cflags_cc': ['-mavx2', '-mfma', '-mf16c', '-mbmi2'],
    },
    {
      'target_name': 'cpu_avx512',
      'type': 'static_library',
      'sources': ['<@(cpu_kernels)'],
      'defines': ['ISA=avx512'],
      'cflags_cc': [
        '-mavx2', '-mfma', '-mf16c', '-mbmi2', '-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl',
        '-mavx512vnni',
        '-mprefer-vector-width=512',
        '-Wno-maybe-uninitialized',  # gcc 12 warns about its own intrinsics
      ],
    },
    {
      'target_name': 'core',
      'type': 'static_library',
      'sources': [
        'kernels/cpu/probe.cpp',
        'kernels/cpu/repack.cpp',
        'kernels/cpu/sample.cpp',
        'kernels/cpu/select_blocks.cpp',
        'kernels/cpu/sets.cpp',
        'kernels/cpu/workers.cpp',
        '<!@(node -p "[\'kernels\', \'kernels/reference\', \'native/backend\', \'native/engine\', \'native/model\', \'native/os\', \'native/quantize\', \'native/weights\'].flatMap(d => require(\'fs\').readdirSync(d).filter(f => f.endsWith(\'.cpp\')).map(f => d + \'/\' + f)).join(\' \')")',
      ],
      'dependencies': ['cpu_baseline', 'cpu_avx2', 'cpu_avxvnni', 'cpu_avx512'],
      'export_dependent_settings': ['cpu_baseline', 'cpu_avx2', 'cpu_avxvnni', 'cpu_avx512'],
    },
    {
      'target_name': 'minicpm',
      'dependencies': ['core'],
      'sources': [
        '<!@(node -p "require(\'fs\').readdirSync(\'native/binding\').filter(f => f.endsWith(\'.cpp\')).map(f => \'native/binding/\' + f).join(\' \')")',
      ],
      'include_dirs': [
        '<!(node -p "require(\'node-api-headers\').include_dir")',
        '<!(node -p "require(\'node-addon-api\').include_dir")',
      ],
      'defines': ['NAPI_VERSION=9', 'NAPI_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
    },
    {
      'target_name': 'native_test',
      'type': 'executable',
      'dependencies': ['core'],
      'sources': [
        '<!@(node -p "[\'test/kernels\', \'test/native\'].flatMap(d => require(\'fs\').readdirSync(d).filter(f => f.endsWith(\'.cpp\')).map(f => d + \'/\' + f)).join(\' \')")',
      ],
      'conditions': [
        ['sanitize==""', {
          'dependencies': ['cpu_avxvnni_evex', 'simt', 'simt_kernels'],
          'sources': [
            '<@(cuda_host)',
            '<!@(node -p "[\'test/cuda\', \'test/simt\'].flatMap(d => require(\'fs\').readdirSync(d).filter(f => f.endsWith(\'.cpp\') && !f.endsWith(\'kernels.cpp\')).map(f => d + \'/\' + f)).join(\' \')")'],
        }],
      ],
    },
    {
      'target_name': 'native_bench',
      'type': 'executable',
      'dependencies': ['core', 'cpu_avxvnni_evex'],
      'sources': [
        '<!@(node -p "require(\'fs\').readdirSync(\'bench/kernels\').filter(f => f.endsWith(\'.cpp\')).map(f => \'bench/kernels/\' + f).join(\' \')")',
      ],
    },
  ],
  'conditions': [
    # Sanitizers know neither fibers nor another answer to their calls.
    ['sanitize==""', {
      'targets': [
        # The emulator of CUDA devices, for tests.
        {
          'target_name': 'simt',
          'type': 'static_library',
          'sources': [
            '<!@(node -p "require(\'fs\').readdirSync(\'kernels/simt\').filter(f => f.endsWith(\'.cpp\')).map(f => \'kernels/simt/\' + f).join(\' \')")',
          ],
        },
        # What runs on it: compiled with a call before every access, which kernels/simt/hooks.cpp answers. Accesses stay as
        # they are written, so nothing is made into vectors or calls of the C library.
        {
          'target_name': 'simt_kernels',
          'type': 'static_library',
          'sources': [
            'test/cuda/kernels.cpp', 'test/simt/correct_kernels.cpp', 'test/simt/faulty_kernels.cpp',
          ],
          'cflags_cc': [
            '-O2', '-g1', '-fsanitize=thread', '-fno-optimize-sibling-calls', '-fno-tree-vectorize',
            '-fno-tree-loop-distribute-patterns',
          ],
        },
        # The CUDA plug-in with an emulated device, for tests: the kernels as they are, unchecked and fast.
        {
          'target_name': 'minicpm_cuda_emulated',
          'dependencies': ['simt'],
          'sources': [
            '<@(cuda_host)',
            'native/cuda/plugin.cpp',
            'test/cuda/emulated_device.cpp',
            'test/cuda/kernels.cpp',
            '<!@(node -p "require(\'fs\').readdirSync(\'kernels\').filter(f => f.endsWith(\'.cpp\')).map(f => \'kernels/\' + f).join(\' \')")',
          ],
          'cflags_cc': ['-O2'],
        },
      ],
    }],
  ],
}
